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

/** Hours and minutes; below an hour, minutes and seconds. */
export function length(seconds) {
  const units = seconds < 3600 ? { minutes: Math.floor(seconds / 60), seconds: Math.floor(seconds % 60) }
    : { hours: Math.floor(seconds / 3600), minutes: Math.floor((seconds % 3600) / 60) };
  const unit = (value, name) => new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay: "short" }).format(value);
  return Object.entries(units).filter(([, value], at) => at === 1 || value > 0).map(([name, value]) => unit(value, name.slice(0, -1))).join(" ");
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
