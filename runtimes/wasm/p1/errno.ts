/** Error numbers of WASI preview 1, as far as they are answered here. */
export const ERRNO = {
  success: 0,
  badf: 8,
  fault: 21,
  inval: 28,
  notsup: 58,
  pipe: 64,
  spipe: 70,
  notcapable: 76,
} as const;
