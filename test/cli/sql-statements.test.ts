import { describe, expect, test } from 'vitest'
import { SqlStatements } from '../../src/cli/sql-statements.ts'

function cut(text: string): { readonly statements: string[]; readonly rest: string | undefined } {
  const reader = new SqlStatements()
  const statements = text.split('\n').flatMap((line) => reader.push(line))
  return { statements, rest: reader.rest() }
}

describe('statements', () => {
  test.each([
    ['select 1;', ['select 1'], undefined],
    ['select 1; select 2;', ['select 1', 'select 2'], undefined],
    ['select\n1\n;', ['select\n1'], undefined],
    ['select 1', [], 'select 1'],
    [";;\n ; select ';' ;", ["select ';'"], undefined],
    ["select 'it''s; fine';", ["select 'it''s; fine'"], undefined],
    ['select "a;b", [c;d], `e;f`;', ['select "a;b", [c;d], `e;f`'], undefined],
    ['select 1 -- one; two\n;', ['select 1 -- one; two'], undefined],
    ['select /* a;\nb; */ 1;', ['select /* a;\nb; */ 1'], undefined],
    ["select 'two\nlines;';", ["select 'two\nlines;'"], undefined],
    ['-- nothing but a remark\n', [], undefined],
    ["select '", [], "select '"],
  ])('%j', (text, statements, rest) => {
    expect(cut(text)).toEqual({ statements, rest })
  })

  test('are pending while something of one waits for its end', () => {
    const reader = new SqlStatements()
    expect(reader.isPending).toBe(false)
    reader.push('select 1')
    expect(reader.isPending).toBe(true)
    reader.push(';')
    expect(reader.isPending).toBe(false)
    reader.push("'")
    reader.clear()
    expect(reader.isPending).toBe(false)
  })
})
