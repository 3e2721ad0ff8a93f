// Numbers, sizes and times in the user's own manner.

// A system without a language calls it "C", which is none.
const language = (navigator.languages ?? []).find((tag) => /^[a-z]{2,3}(-|$)/i.test(tag)) ?? "en";
const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const share = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });

export const count = (number) => whole.format(number);
export const percent = (value) => (value === null || value === undefined ? "–" : share.format(value));
export const time = (unixMs) => clock.format(unixMs);
export const dateTime = (when) => day.format(new Date(when));

/** The two largest units that are not 0. */
export function length(seconds) {
  const units = { hour: Math.floor(seconds / 3600), minute: Math.floor(seconds / 60) % 60, second: Math.floor(seconds) % 60 };
  const parts = Object.entries(units).filter(([, value]) => value > 0).slice(0, 2);
  const words = parts.map(([unit, value]) => new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short" }).format(value));
  return words.join(" ") || "–";
}

/** A time of today as a clock shows it, of another day with its date. */
export function moment(unixMs, now = Date.now()) {
  return new Date(unixMs).toDateString() === new Date(now).toDateString() ? exact.format(unixMs) : day.format(unixMs);
}

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? whole.format(value) : one.format(value)} ${units[unit]}`;
}
