// A map with a budget of bytes. When the budget is spent, it drops the entries that were used longest ago.
export function newCache(budget) {
  const entries = new Map();
  let bytes = 0;
  return {
    get(key, compute) {
      let value = entries.get(key);
      if (value) entries.delete(key);
      else { value = compute(); bytes += value.data.length; }
      entries.set(key, value);
      for (const [oldKey, old] of entries) {
        if (bytes <= budget || oldKey === key) break;
        entries.delete(oldKey);
        bytes -= old.data.length;
      }
      return value;
    },
    clear() { entries.clear(); bytes = 0; },
  };
}
