/** Numbers as people read them. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB'] as const

export function count(value: number): string {
  return value.toLocaleString('en-US')
}

/** `1 fill`, `3 fills`. */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`
}

/** Three digits that matter, and no more than microseconds can mean. */
export function milliseconds(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${value.toFixed(digits)} ms`
}

export function seconds(value: number): string {
  return `${value.toFixed(1)} s`
}

export function byteSize(value: number): string {
  let rest = value
  let unit = 0
  while (rest >= 1024 && unit < UNITS.length - 1) {
    rest /= 1024
    unit += 1
  }
  return `${rest.toFixed(rest < 10 && unit > 0 ? 1 : 0)} ${UNITS[unit]}`
}
