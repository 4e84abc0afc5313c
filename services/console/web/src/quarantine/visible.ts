/** Text from outside with its invisible characters written out. */

/** Controls, formats, and what no font can draw; but line breaks and tabs, which a reader sees as such. */
const INVISIBLE = /(?![\n\t])[\p{C}\u2028\u2029]/gu

/** A NUL becomes `\x00`; beyond two digits the code point stands in braces, as in `\u{202e}`. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, (character) => {
    const code = character.codePointAt(0)!.toString(16)
    return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u{${code}}`
  })
}
