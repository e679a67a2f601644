/* SPDX-License-Identifier: MIT
 *
 * Sources that are far away, where a leaf costs a part of a round trip and not a few microseconds.
 *
 * Rows that are looked for one by one lead to a leaf each, as long as the tree has so many. What a constant picks out of an
 * index lies together. So a pattern with such a constant is often cheaper when all that it has is read once, and joined
 * here. Where leaves are near, that is never worth it: then the rows decide.
 */
#include "exec.h"

#include <math.h>

#define LEAF_ROWS 1024.0        /* about as many as a leaf has */
#define SCAN_PAYS 2.0           /* so many times as many leaves must the probes read */
#define SCAN_ROWS_MAX 1000000.0 /* of the table that is made */
#define SAMPLE_LEAVES 64.0      /* that the samples of a query read, about */
#define SAMPLES_PAY 2.0         /* so many times as many leaves must there be to save */
#define CHEAP_ROWS 200000.0     /* take about as long as a round trip */

static double leaves_of(double rows)
{
    return floor(rows / LEAF_ROWS) + 1;
}

static bool is_far(const ri_pattern *p)
{
    return p->db != NULL && (ri_store_capabilities(p->db->store) & RILLE_BACKEND_DEFERRED) != 0;
}

bool ri_far_scan_pays(const ri_pattern *p, double rows)
{
    bool by_const = p->attr != NULL && p->has[RI_POS_V] && !p->has[RI_POS_E] && (p->v_is_ref || p->attr->avet);
    if (!is_far(p) || !by_const || p->assumed || (double)p->const_count > SCAN_ROWS_MAX) {
        return false;
    }
    double leaves = leaves_of((double)p->attr_count);
    double probed = rows < leaves ? rows : leaves;
    return leaves_of((double)p->const_count) * SCAN_PAYS <= probed;
}

/* Whatever the order, a query reads no leaf twice: so the leaves of all its patterns are the most that another order can
 * save. The best order reads some of them, too. */
bool ri_far_samples_cost_more(const rille_op *op, const ri_plan_cost *cost)
{
    double leaves = 0;
    bool far = false;
    for (const ri_pattern *p = op->patterns; p != NULL; p = p->next) {
        if (is_far(p)) {
            far = true;
            leaves += leaves_of((double)p->attr_count);
        }
    }
    return far && leaves <= SAMPLE_LEAVES * SAMPLES_PAY && cost->rows_max <= CHEAP_ROWS;
}
