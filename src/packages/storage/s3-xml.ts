/** What S3 answers in XML, as far as a storage service reads it: flat lists of text elements without attributes. */

export interface S3Object {
  readonly key: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

export interface S3Listing {
  readonly objects: readonly S3Object[];
  /** For the next page; undefined at the end. */
  readonly next: string | undefined;
}

/** A page of ListObjectsV2 that was asked for with `encoding-type=url`. */
export function parseListing(xml: string): S3Listing {
  if (!/<ListBucketResult[\s>]/.test(xml)) {
    throw new Error(`this is no list of a bucket: ${JSON.stringify(xml.slice(0, 200))}`);
  }
  const objects = [...xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)].map(([, content = '']) => ({
    key: decodeURIComponent(textOf(content, 'Key').replaceAll('+', ' ')),
    sizeBytes: Number(textOf(content, 'Size')),
    modifiedMs: Date.parse(textOf(content, 'LastModified')),
  }));
  const isTruncated = textOf(xml, 'IsTruncated') === 'true';
  const next = isTruncated ? textOf(xml, 'NextContinuationToken') : '';
  return { objects, next: next === '' ? undefined : next };
}

/** Empty where the answer is not S3's. */
export function parseS3Error(xml: string): { readonly code: string; readonly message: string } {
  if (!/<Error[\s>]/.test(xml)) return { code: '', message: '' };
  return { code: textOf(xml, 'Code'), message: textOf(xml, 'Message') };
}

function textOf(xml: string, name: string): string {
  const [, text = ''] = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml) ?? [];
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(lt|gt|amp|quot|apos));/gi, (_, hex, decimal, name_) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(String(hex), 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return ENTITIES[String(name_).toLowerCase()] ?? '';
  });
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };
