/** Schedules as Fission takes them (robfig/cron): 5 or 6 fields, `@daily` and kin, `@every 1m30s`, a time zone. */

/** What {@link isCron} takes, for error messages. */
export const CRON_WORDS =
  'a cron schedule of 5 fields (6 with seconds first), @hourly, @daily, @weekly, @monthly, @yearly or "@every 1m30s"';

/** As text, because the CRD says the same; RE2's syntax. */
export const CRON_PATTERN =
  '^[ \\t]*((CRON_)?TZ=[A-Za-z0-9_+/-]+[ \\t]+)?(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|@every[ \\t]+([0-9.]+(ns|us|µs|ms|s|m|h))+|([0-9A-Za-z*?/,#-]+[ \\t]+){4,5}[0-9A-Za-z*?/,#-]+)[ \\t]*$';

const pattern = new RegExp(CRON_PATTERN);
const MAX_LENGTH = 256;

/** Whether the text has the form of a schedule. What its fields say is looked at where the schedule is served. */
export function isCron(text: string): boolean {
  return text.length <= MAX_LENGTH && pattern.test(text);
}

/** A schedule, without the time zone that may stand before it. */
export function splitCron(text: string): { schedule: string; timeZone: string | null } {
  const match = /^(?:CRON_)?TZ=(\S+)\s+(.*)$/.exec(text.trim());
  return match === null
    ? { schedule: text.trim(), timeZone: null }
    : { schedule: match[2] ?? '', timeZone: match[1] ?? null };
}
