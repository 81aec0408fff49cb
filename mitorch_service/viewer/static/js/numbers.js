// Figures as people read them.

/** Four digits, as the pages of the server write them. */
export function numberText(value) {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(Number(value))) return String(value);
  const size = Math.abs(value);
  if (size && (size < 1e-3 || size >= 1e6)) return Number(value).toExponential(3).replace(/\.?0+e/, "e");
  return String(Number(Number(value).toPrecision(4)));
}
