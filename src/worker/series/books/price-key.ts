/** Prices as keys: `20472.80`, `20472.8` and `020472.8` are one level. */
export function priceKey(price: string): string {
  const whole = price.replace(/^0+(?=\d)/, '')
  return whole.includes('.') ? whole.replace(/\.?0+$/, '') : whole
}

/** Orders keys by their value, also where doubles can't tell them apart. */
export function comparePrices(a: string, b: string): number {
  const difference = Number(a) - Number(b)
  if (difference !== 0) return difference
  if (a === b) return 0
  const [wholeA = '', fractionA = ''] = a.split('.')
  const [wholeB = '', fractionB = ''] = b.split('.')
  if (wholeA !== wholeB) return wholeA.length - wholeB.length || (wholeA < wholeB ? -1 : 1)
  return fractionA < fractionB ? -1 : 1
}
