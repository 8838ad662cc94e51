import { describe, expect, test } from 'vitest'
import { renderTable } from '../../src/cli/table.ts'
import { tableCell } from '../../src/cli/table-cell.ts'

function render(columns: readonly string[], rows: readonly (readonly unknown[])[], width?: number) {
  const { text, leftOff } = renderTable({
    columns,
    rows: rows.map((row) => row.map((value) => tableCell(value))),
    width,
    styleHead: (head) => head,
  })
  return { lines: text.split('\n'), leftOff }
}

describe('a table', () => {
  test('sets numbers at the right and text at the left', () => {
    expect(
      render(
        ['name', 'price', 'mixed'],
        [
          ['a', '10.50', 1],
          ['b', 7, 'x'],
        ],
      ).lines,
    ).toEqual(['name  price  mixed', '────  ─────  ─────', 'a     10.50  1', 'b         7  x'])
  })

  test('cuts the widest text first, and shows that it did', () => {
    const { lines, leftOff } = render(['id', 'note'], [['abc', 'a rather long note on nothing']], 20)
    expect(lines[2]).toBe('abc  a rather long …')
    expect(leftOff).toEqual([])
  })

  test('leaves columns off at the end rather than cut a number', () => {
    const { lines, leftOff } = render(['id', 'price', 'amount'], [['abc', '12345.678', '12345678.90']], 20)
    expect(lines[2]).toBe('abc  12345.678')
    expect(leftOff).toEqual(['amount'])
  })

  test('counts wide letters as two columns', () => {
    expect(render(['text', 'n'], [['日本語', 1]]).lines).toEqual(['text    n', '──────  ─', '日本語  1'])
  })

  test('shows control characters instead of sending them', () => {
    expect(render(['text'], [['a\n\u001b[2J\u009b']]).lines[2]).toBe('a\\n\\u001b[2J\\u009b')
  })

  test('is as wide as it takes when there is no window', () => {
    expect(render(['text'], [['x'.repeat(500)]]).lines[2]).toHaveLength(500)
  })
})
