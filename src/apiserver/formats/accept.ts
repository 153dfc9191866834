/** What representation a request's Accept header asks for, in the ways that Kubernetes clients ask. */

interface MediaRange {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly quality: number;
}

/** The ranges of an Accept header, the most wanted first; ranges of equal quality keep their order. */
function parseAccept(header: string): MediaRange[] {
  return header
    .split(',')
    .map((part): MediaRange => {
      const [type = '', ...rest] = part.split(';').map((piece) => piece.trim());
      const parameters = new Map<string, string>();
      for (const piece of rest) {
        const equals = piece.indexOf('=');
        if (equals > 0)
          parameters.set(piece.slice(0, equals).trim().toLowerCase(), piece.slice(equals + 1).trim());
      }
      const quality = Number(parameters.get('q') ?? 1);
      return { type: type.toLowerCase(), parameters, quality: Number.isFinite(quality) ? quality : 0 };
    })
    .filter((range) => range.type !== '' && range.quality > 0)
    .toSorted((a, b) => b.quality - a.quality);
}

function isJsonRange(range: MediaRange): boolean {
  return range.type === 'application/json' || range.type === 'application/*' || range.type === '*/*';
}

/** How discovery is to be answered: aggregated in one of its two versions, or one plain document a group. */
export type DiscoveryForm = 'v2' | 'v2beta1' | 'plain';

/** The first form of the Accept header that can be served; `plain` where there is none. */
export function negotiateDiscovery(accept: string | undefined): DiscoveryForm {
  for (const range of parseAccept(accept ?? '')) {
    if (!isJsonRange(range)) continue;
    const as = range.parameters.get('as');
    if (as === undefined) return 'plain';
    const version = range.parameters.get('v');
    if (as !== 'APIGroupDiscoveryList' || range.parameters.get('g') !== 'apidiscovery.k8s.io') continue;
    if (version === 'v2' || version === 'v2beta1') return version;
  }
  return 'plain';
}

/** The shape in which objects are to be answered: themselves, as a Table, or their metadata alone. */
export type ObjectForm = 'object' | 'table' | 'metadata';

/**
 * The first form of the Accept header that can be served, or undefined where it takes none of them: that is
 * a 406. Ranges of protobuf or CBOR are passed over, as clients that send them also take JSON.
 */
export function negotiateObject(accept: string | undefined): ObjectForm | undefined {
  if (accept === undefined || accept.trim() === '') return 'object';
  for (const range of parseAccept(accept)) {
    if (!isJsonRange(range)) continue;
    const as = range.parameters.get('as');
    if (as === undefined) return 'object';
    const version = range.parameters.get('v');
    if (range.parameters.get('g') !== 'meta.k8s.io' || version !== 'v1') continue;
    if (as === 'Table') return 'table';
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return 'metadata';
  }
  return undefined;
}
