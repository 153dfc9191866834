/** Kubernetes' rules for names. */

/** RFC 1123 label, as a pattern without lookaround (CRD patterns run in Go). */
export const DNS_LABEL = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';
export const OPTIONAL_DNS_LABEL = '^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$';
export const DNS_LABEL_MAX_LENGTH = 63;
/** RFC 1123 subdomain: labels with dots between them. */
export const DNS_SUBDOMAIN = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';

export const DNS_LABEL_WORDS =
  "lower-case letters, digits and '-', with a letter or digit first and last, 63 at most";
export const DNS_SUBDOMAIN_WORDS =
  "lower-case letters, digits, '-' and '.', with a letter or digit at each end of a part, 253 at most";

const label = new RegExp(DNS_LABEL);
const subdomain = new RegExp(DNS_SUBDOMAIN);

export function isDnsLabel(text: string): boolean {
  return text.length <= DNS_LABEL_MAX_LENGTH && label.test(text);
}

export function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && subdomain.test(text);
}

const qualified = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

/** The name of a label or annotation: an optional domain and `/`, then 63 characters at most. */
export function isQualifiedName(text: string): boolean {
  const slash = text.indexOf('/');
  const name = text.slice(slash + 1);
  const domain = slash < 0 ? null : text.slice(0, slash).toLowerCase();
  return name.length <= 63 && qualified.test(name) && (domain === null || isDnsSubdomain(domain));
}
