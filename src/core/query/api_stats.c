/* SPDX-License-Identifier: MIT
 *
 * Public C functions: counters.
 */
#include "api_own.h"

int rille_conn_stats(rille_conn *conn, rille_stats *out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = (rille_stats){ 0 };
    NEED_GIVEN(conn, "the connection");
    ri_store_stats stats;
    ri_store_read_stats(ri_conn_store(conn), &stats);
    *out = (rille_stats){ .reads = stats.gets,
                          .read_ranges = stats.get_ranges,
                          .read_bytes = stats.get_bytes,
                          .writes = stats.puts,
                          .written_bytes = stats.put_bytes,
                          .head_reads = stats.head_reads,
                          .head_swaps = stats.head_swaps,
                          .cache_hits = stats.cache_hits,
                          .cache_misses = stats.cache_misses,
                          .cache_bytes = stats.cache_bytes,
                          .cache_bytes_max = stats.cache_bytes_max,
                          .size_bytes = ri_store_size_bytes(ri_conn_store(conn)),
                          .head_age_ms = ri_conn_age_ms(conn),
                          .storage = stats.storage };
    return 0;
}
