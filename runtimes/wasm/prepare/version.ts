/**
 * Raised whenever prepare would write something else for the same bytes: another jco, another rewriting,
 * another layout of the cache. Part of each cache key, so that older entries are simply never found.
 */
export const PREPARE_VERSION = 9;
