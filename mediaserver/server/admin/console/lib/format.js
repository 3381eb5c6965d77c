/** How figures are written. */

const thousands = new Intl.NumberFormat("en"); // kept, because to make one costs more than to use it

/** A duration in seconds as `12 s`, `3:07` or `1:02:03`. */
export function duration(seconds) {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const end = String(rest).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${end}` : `${minutes}:${end}`;
}

/** A time since the beginning of a call as `0:03.42`. */
export function offset(seconds) {
  const hundredths = Math.max(0, Math.round(seconds * 100));
  const minutes = Math.floor(hundredths / 6000);
  return `${minutes}:${((hundredths % 6000) / 100).toFixed(2).padStart(5, "0")}`;
}

/** A time of today as `14:03:27`, and any other with its date. */
export function clock(moment) {
  const time = moment.toLocaleTimeString("en-GB");
  return moment.toDateString() === new Date().toDateString() ? time : `${moment.toLocaleDateString("sv-SE")} ${time}`;
}

/** A count with separators of thousands. */
export function count(number) {
  return thousands.format(Math.round(number));
}

/** A count and its noun. */
export function counted(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** A value of an event in one line. */
export function brief(value) {
  if (value === null) return "–";
  if (Array.isArray(value)) return value.map(brief).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
