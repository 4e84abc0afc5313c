/** What an edit does to a set of files. Pure. */

import type { Files } from './rulesApi'

export type FileState = 'same' | 'changed' | 'added' | 'removed'

export function stateOf(name: string, base: Files, edited: Files): FileState {
  if (!(name in edited)) return 'removed'
  if (!(name in base)) return 'added'
  return base[name] === edited[name] ? 'same' : 'changed'
}

/** Every file of either set by name: texts first, then tables. */
export function names(base: Files, edited: Files): string[] {
  const isTable = (name: string) => Number(name.endsWith('.csv'))
  return [...new Set([...Object.keys(base), ...Object.keys(edited)])].sort(
    (a, b) => isTable(a) - isTable(b) || a.localeCompare(b),
  )
}

export function changed(base: Files, edited: Files): string[] {
  return names(base, edited).filter((name) => stateOf(name, base, edited) !== 'same')
}

/** The same edits over another base; `both` are files that were changed here and there: the edit's own text is kept. */
export function rebase(base: Files, edited: Files, onto: Files): { files: Files; both: string[] } {
  const files = { ...onto }
  const both: string[] = []
  for (const name of changed(base, edited)) {
    if (stateOf(name, base, onto) !== 'same' && edited[name] !== onto[name]) both.push(name)
    if (edited[name] === undefined) delete files[name]
    else files[name] = edited[name]
  }
  return { files, both }
}

export function sameFiles(one: Files, other: Files): boolean {
  return changed(one, other).length === 0
}

/** Names as the server takes them: one name with one of the two endings, no folder. */
export function isFileName(name: string): boolean {
  return /^[\p{L}\p{N}_][\p{L}\p{N}_ .-]{0,98}\.(toml|csv)$/u.test(name)
}

/** A file's text as UTF-8, or as what Excel writes in China. */
export function decode(bytes: ArrayBuffer): string {
  const text = (label: string) => new TextDecoder(label, { fatal: true }).decode(bytes)
  try {
    return text('utf-8')
  } catch {
    return text('gb18030')
  }
}

/** How wide a text is in columns of a monospaced font, in which a Chinese character takes two. */
export function columns(line: string): number {
  let width = 0
  for (const sign of line) width += sign === '\t' ? 8 - (width % 8) : sign.codePointAt(0)! > 0x2e7f ? 2 : 1
  return width
}
