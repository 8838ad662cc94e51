import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { statementKeywords } from '../../src/worker/sql-statements.ts'

describe('statementKeywords', () => {
  test.each([
    ['nothing', '', []],
    ['blanks and semicolons', ' ;\n;; ', []],
    ['a comment alone', '-- COMMIT\n/* COMMIT; */', []],
    ['one statement', 'CREATE TABLE t (x)', ['CREATE']],
    ['several', 'CREATE TABLE t (x); INSERT INTO t VALUES (1);\nDROP TABLE t;', ['CREATE', 'INSERT', 'DROP']],
    ['lower and mixed case', 'commit; Rollback', ['COMMIT', 'ROLLBACK']],
    ['a comment before a statement', '/* why */ COMMIT -- so', ['COMMIT']],
    ['a comment that hides a semicolon', 'SELECT 1 -- ; COMMIT\n; SELECT 2', ['SELECT', 'SELECT']],
    ['a block comment that hides a semicolon', 'SELECT 1 /* ; COMMIT; */ ; SELECT 2', ['SELECT', 'SELECT']],
    ['a comment that never ends', 'SELECT 1; /* COMMIT;', ['SELECT']],
    ['a semicolon in a string', "INSERT INTO t VALUES ('a; COMMIT; b'); SELECT 1", ['INSERT', 'SELECT']],
    ['a doubled quote in a string', "INSERT INTO t VALUES ('it''s; COMMIT'); SELECT 1", ['INSERT', 'SELECT']],
    ['a comment mark in a string', "SELECT '--'; COMMIT", ['SELECT', 'COMMIT']],
    ['a string mark in a comment', "SELECT 1 -- it's\n; COMMIT", ['SELECT', 'COMMIT']],
    [
      'a semicolon in a quoted name',
      'SELECT "a; COMMIT"; SELECT `b; COMMIT`; SELECT [c; COMMIT]',
      ['SELECT', 'SELECT', 'SELECT'],
    ],
    ['a keyword inside a statement', 'SELECT 1 AS "COMMIT" WHERE end = begin', ['SELECT']],
    ['a byte order mark', '\ufeffCOMMIT', ['COMMIT']],
  ])('finds the first keyword of %s', (_, sql, keywords) => {
    expect(statementKeywords(sql)).toEqual(keywords)
  })

  const trigger = (body: string, head = 'CREATE TRIGGER t AFTER INSERT ON x') => `${head} BEGIN ${body} END`

  test.each([
    ['a body of one statement', trigger('SELECT 1;')],
    ['a body of several', trigger("UPDATE x SET a = 1; DELETE FROM y; SELECT RAISE(ABORT, 'no; END; COMMIT');")],
    ['a CASE that ends inside', trigger('UPDATE x SET a = CASE WHEN b THEN 1 ELSE 2 END; SELECT 1;')],
    ['a temporary one', trigger('SELECT 1;', 'CREATE TEMP TRIGGER t AFTER INSERT ON x')],
    ['one that may exist', trigger('SELECT 1;', 'create trigger if not exists t after insert on x')],
    [
      'one with a condition',
      trigger('SELECT 1;', 'CREATE TRIGGER t AFTER INSERT ON x WHEN new.a > (CASE WHEN 1 THEN 2 END)'),
    ],
    [
      'comments all over',
      trigger('/* BEGIN */ SELECT 1; -- END\n', 'CREATE /* x */ TRIGGER t -- y\nAFTER INSERT ON x'),
    ],
    ['a name that is quoted', trigger('SELECT 1;', 'CREATE TRIGGER "BEGIN" AFTER INSERT ON x')],
  ])('takes a trigger for one statement: %s', (_, sql) => {
    expect(statementKeywords(`${sql};`)).toEqual(['CREATE'])
    expect(statementKeywords(`${sql}; COMMIT;`)).toEqual(['CREATE', 'COMMIT'])
    expect(statementKeywords(`SELECT 1; ${sql}; ${sql}; ROLLBACK`)).toEqual(['SELECT', 'CREATE', 'CREATE', 'ROLLBACK'])
  })

  test('finds the keyword of every statement of a script, however it is set', () => {
    const blank = fc.constantFrom(' ', '\n', '\t', ' -- ; END\n', '/* ; */', ' /* COMMIT */ ')
    const piece = fc.constantFrom(
      "'a;b'",
      "'it''s'",
      "''",
      '"c;d"',
      '`e;f`',
      '[g;h]',
      'x',
      '1.5',
      "x'0f'",
      '(',
      ')',
      ',',
      '=',
      'END',
      'BEGIN',
      'COMMIT',
    )
    const statement = fc
      .tuple(
        fc.constantFrom('SELECT', 'INSERT', 'update', 'Delete', 'COMMIT', 'PRAGMA'),
        fc.array(fc.tuple(blank, piece)),
      )
      .map(([keyword, rest]) => ({ keyword, text: keyword + rest.map(([gap, word]) => gap + word).join('') }))
    fc.assert(
      fc.property(fc.array(fc.tuple(blank, statement)), (script) => {
        const sql = script.map(([gap, { text }]) => `${gap}${text}`).join(';')
        expect(statementKeywords(sql)).toEqual(script.map(([, { keyword }]) => keyword.toUpperCase()))
      }),
      { numRuns: 500 },
    )
  })

  test('takes time in proportion to the length of the script', () => {
    const startedAt = performance.now()
    statementKeywords(`SELECT ${"'".repeat(50_001)}${'/*'.repeat(50_000)}${'"'.repeat(50_001)}`)
    expect(performance.now() - startedAt).toBeLessThan(1_000)
  })
})
