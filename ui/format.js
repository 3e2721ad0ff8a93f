// @ts-check
// Numbers, sizes and times in the user's language.

// A system without a language reports "C", which is not a language tag.
const language = (navigator.languages ?? []).find((tag) => /^[a-z]{2,3}(-|$)/i.test(tag)) ?? "en";
const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const share = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(language, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const day = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });

/** Stands for a value that is not known. */
const UNKNOWN = "–";

/** @param {number} number */
export const count = (number) => whole.format(number);

/** @param {number | null | undefined} value A share from 0 to 1. */
export const percent = (value) =>
  value === null || value === undefined ? UNKNOWN : share.format(value);

/** @param {number} unixMs */
export const time = (unixMs) => clock.format(unixMs);

/** @param {string | number} when An ISO 8601 time, or Unix milliseconds. */
export const dateTime = (when) => day.format(new Date(when));

/**
 * Formats a duration in its two largest units that are not 0.
 *
 * @param {number} seconds
 */
export function duration(seconds) {
  const units = {
    hour: Math.floor(seconds / 3600),
    minute: Math.floor(seconds / 60) % 60,
    second: Math.floor(seconds) % 60,
  };
  const largest = Object.entries(units).filter(([, value]) => value > 0);
  const words = largest.slice(0, 2).map(([unit, value]) => {
    const format = new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short" });
    return format.format(value);
  });
  return words.join(" ") || UNKNOWN;
}

/**
 * Formats a time of today as a clock shows it, and one of another day with its date.
 *
 * @param {number} unixMs
 */
export function moment(unixMs, now = Date.now()) {
  const isToday = new Date(unixMs).toDateString() === new Date(now).toDateString();
  return (isToday ? exact : day).format(unixMs);
}

/** @param {number | null | undefined} value */
export function bytes(value) {
  if (value === null || value === undefined) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? whole.format(value) : one.format(value)} ${units[unit]}`;
}
