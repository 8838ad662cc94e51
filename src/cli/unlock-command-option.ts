import type { UnlockCommand } from '../index.ts'

/**
 * `--unlock-command` as it was typed: a program, or a JSON array of a program and its arguments. A shell is started only
 * for `sh:` in front of a line.
 */
export function parseUnlockCommand(text: string): UnlockCommand {
  if (text.startsWith('sh:')) return { shell: text.slice(3) }
  if (!text.startsWith('[')) return text
  try {
    const parts: unknown = JSON.parse(text)
    if (Array.isArray(parts) && parts.every((part) => typeof part === 'string')) return parts
  } catch {
    // A program whose name begins like that.
  }
  return text
}
