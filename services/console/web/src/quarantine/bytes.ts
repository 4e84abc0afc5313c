/** Bytes as an officer or engineer reads them. Pure. */

/** Hexadecimal in lines of sixteen with their offset and what can be printed: `0000  7b 22 …  {"…`. */
export function hexLines(hex: string): string {
  const lines: string[] = []
  for (let at = 0; at < hex.length; at += 32) {
    const pairs = hex.slice(at, at + 32).match(/../g) ?? []
    const text = pairs.map((pair) => {
      const code = parseInt(pair, 16)
      return code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : '.'
    })
    lines.push(`${(at / 2).toString(16).padStart(4, '0')}  ${pairs.join(' ').padEnd(47)}  ${text.join('')}`)
  }
  return lines.join('\n')
}

/** A size in its largest unit: "12 KiB". */
export function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  return `${+(bytes / 1024 ** power).toFixed(power ? 1 : 0)} ${units[power]}`
}
