/* SPDX-License-Identifier: MIT
 *
 * The branches of a commit, at the end of its last pack:
 *
 *     branches right above leaves | the upper levels: roots, and branches above branches
 *
 * level by level, so that children come before their parents, which name their places. An opener of a large database reads
 * the upper levels alone.
 */
#include "writer_own.h"

/* Locators of children that this writer wrote: zero pack for those of the pack that is open. */
static void locate_children(const ri_writer *writer, ri_noderef *children, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const ri_written_node *node = ri_writer_find(writer, children[i].addr);
        if (node == NULL || node->len == 0) {
            continue;
        }
        children[i].offset = node->offset;
        children[i].len = node->len;
        memset(children[i].pack, 0, RI_HASH_SIZE);
        if (node->pack < writer->pack_count) {
            memcpy(children[i].pack, writer->packs[node->pack].id, RI_HASH_SIZE);
        }
    }
}

static int place_branch(ri_writer *writer, const ri_waiting_branch *branch, ri_buf *locators, rille_err *err)
{
    ri_noderef *children = writer->branch_children + branch->children;
    ri_entry entry = { .codec = branch->codec, .stored_len = branch->stored_len, .raw_len = branch->raw_len };
    ri_buf_clear(locators);
    locate_children(writer, children, branch->child_count);
    ri_locators_put(locators, children, branch->child_count);
    if (locators->failed) {
        return ri_fail_nomem(err);
    }
    entry.locators_len = locators->len;
    uint64_t offset = writer->pack.len;
    ri_entry_put_header(&writer->pack, &entry);
    ri_buf_put(&writer->pack, writer->branch_bytes.p + branch->bytes, branch->stored_len);
    ri_buf_put(&writer->pack, locators->p, locators->len);
    if (writer->pack.failed) {
        return ri_fail_nomem(err);
    }
    ri_written_node *node = &writer->nodes[branch->node];
    node->offset = offset;
    node->len = (uint32_t)(writer->pack.len - offset);
    node->pack = (uint32_t)writer->pack_count;
    writer->pack_node_count++;
    return RILLE_OK;
}

/* Finds out which branches are roots. Returns the highest level. */
static unsigned note_children(ri_writer *writer)
{
    unsigned level_max = 1;
    for (size_t i = 0; i < writer->branch_count; i++) {
        const ri_waiting_branch *branch = &writer->branches[i];
        level_max = branch->level > level_max ? branch->level : level_max;
        for (size_t c = 0; branch->level > 1 && c < branch->child_count; c++) {
            const ri_written_node *node = ri_writer_find(writer, writer->branch_children[branch->children + c].addr);
            if (node != NULL && node->len == 0) {
                writer->branches[node->offset].is_child = true;
            }
        }
    }
    return level_max;
}

/* Those of a level; 0: of level 1 those that are no roots. */
static int place_level(ri_writer *writer, unsigned level, rille_err *err)
{
    ri_buf locators = { 0 };
    int rc = RILLE_OK;
    for (size_t i = 0; i < writer->branch_count && rc == RILLE_OK; i++) {
        const ri_waiting_branch *branch = &writer->branches[i];
        if ((branch->level > 1 || !branch->is_child ? branch->level : 0) == level) {
            rc = place_branch(writer, branch, &locators, err);
        }
    }
    ri_buf_deinit(&locators);
    return rc;
}

int ri_writer_place_branches(ri_writer *writer, rille_err *err)
{
    writer->branch_offset = writer->pack.len;
    unsigned level_max = note_children(writer);
    RI_TRY(place_level(writer, 0, err));
    uint64_t upper = writer->pack.len;
    for (unsigned level = 1; level <= level_max; level++) {
        RI_TRY(place_level(writer, level, err));
    }
    writer->branch_len = writer->pack.len - writer->branch_offset;
    writer->upper_len = writer->pack.len - upper;
    return RILLE_OK;
}
