import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type DocumentText, readDocumentTexts } from '../../src/cli/document-file.ts'
import { temporaryDirectory } from './test-store.ts'

const dir = temporaryDirectory()

async function read(name: string, content: string | Uint8Array): Promise<DocumentText[]> {
  const path = join(dir, name)
  writeFileSync(path, content)
  const texts: DocumentText[] = []
  for await (const text of readDocumentTexts(path)) texts.push(text)
  return texts
}

async function values(name: string, content: string): Promise<{ readonly value: unknown; readonly line: number }[]> {
  return (await read(name, content)).map(({ text, line }) => ({ value: JSON.parse(text), line }))
}

describe('documents of a file', () => {
  test('come with the line they begin at, out of lines', async () => {
    expect(await values('a.jsonl', '{"a":1}\n\n  \n{"a":2}\r\n{"a":"\u2028"}')).toEqual([
      { value: { a: 1 }, line: 1 },
      { value: { a: 2 }, line: 4 },
      { value: { a: '\u2028' }, line: 5 },
    ])
  })

  test('come with the line they begin at, out of an array', async () => {
    expect(await values('a.json', '\n[{"a":[1,{"b":"],["}]},\n\n{\n"c":"\\"}"\n}\n , 5]\n')).toEqual([
      { value: { a: [1, { b: '],[' }] }, line: 2 },
      { value: { c: '"}' }, line: 4 },
      { value: 5, line: 7 },
    ])
  })

  test('are the same through an array as through lines, whatever they hold', async () => {
    const documents = fc.array(fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true }))
    await fc.assert(
      fc.asyncProperty(documents, fc.constantFrom(undefined, 1, 2), async (written, indent) => {
        const expected = JSON.parse(JSON.stringify(written))
        const lines = written.map((document) => JSON.stringify(document)).join('\n')
        expect((await values('p.json', JSON.stringify(written, null, indent))).map(({ value }) => value)).toEqual(
          expected,
        )
        expect((await values('p.jsonl', lines)).map(({ value }) => value)).toEqual(expected)
      }),
      { numRuns: 50 },
    )
  })

  test('are whole where a chunk of the file ends within one', async () => {
    const written = Array.from({ length: 3_000 }, (_, index) => ({ index, text: 'é日😀"\\['.repeat(index % 40) }))
    expect((await values('chunks.json', JSON.stringify(written))).map(({ value }) => value)).toEqual(written)
  })

  test.each([
    ['', 'the file is empty'],
    ['{"a":1}', 'has to hold an array'],
    ['[{"a":1}', 'the array has no end'],
    ['[{"a":1}] []', 'something follows'],
    [Uint8Array.of(0x5b, 0x22, 0xff, 0x22, 0x5d), 'not UTF-8'],
  ])('are refused when the file as a whole is not what its name says: %j', async (content, problem) => {
    await expect(read('bad.json', content)).rejects.toMatchObject({
      code: 'INVALID_DOCUMENT',
      message: expect.stringContaining(problem),
    })
  })
})
