// The places of the queue: what must change so that a training stands where it was put. Pure.
// The order is by priority (lower first), then by arrival, then by id; arrivals are compared as BigInt.

const before = (a, b) => (a.priority !== b.priority ? a.priority < b.priority : a.arrival !== b.arrival ? a.arrival < b.arrival : a.id < b.id);

// The greatest priority with which `row` is before `next`, and the least with which it is behind `previous`.
const highestBefore = (row, next) => (before({ ...row, priority: next.priority }, next) ? next.priority : next.priority - 1);
const lowestBehind = (row, previous) => (before(previous, { ...row, priority: previous.priority }) ? previous.priority : previous.priority + 1);

/** Returns the changes [{id, priority}] after which `rows`, given in the order that is wanted, stand in that order.
 * `moved` is the index of the one that was put there; `more`: others follow that are not shown. If its neighbours leave
 * room it changes alone; else those in front of it, or behind it, whichever are fewer, give way. */
export function changesFor(rows, moved, more) {
  const row = rows[moved], previous = rows[moved - 1], next = rows[moved + 1];
  if ((!previous || before(previous, row)) && (!next || before(row, next))) return [];
  const low = previous ? lowestBehind(row, previous) : null;
  const high = next ? highestBefore(row, next) : null;
  if (low === null || high === null || low <= high) {
    const middle = previous && next ? Math.floor((previous.priority + next.priority) / 2) : null;
    const priority = low === null ? high : high === null ? low : Math.min(high, Math.max(low, middle));
    return [{ id: row.id, priority }];
  }
  const forward = pushed(rows, moved, low, 1, more);
  const backward = pushed(rows, moved, high, -1, false);
  return forward && forward.length < backward.length ? forward : backward;
}

/** The moved one gets `priority`; in one direction each that would stand on the wrong side of the one before gives way.
 * Null if those that are not shown had to give way, too. */
function pushed(rows, moved, priority, step, more) {
  const changes = [{ id: rows[moved].id, priority }];
  let last = { ...rows[moved], priority };
  for (let index = moved + step; index >= 0 && index < rows.length; index += step) {
    const row = rows[index];
    if (step > 0 ? before(last, row) : before(row, last)) return changes;
    last = { ...row, priority: step > 0 ? lowestBehind(row, last) : highestBefore(row, last) };
    changes.push({ id: row.id, priority: last.priority });
  }
  return more ? null : changes;
}
