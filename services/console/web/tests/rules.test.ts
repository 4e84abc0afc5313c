import { expect, test } from 'vitest'
import { changed, columns, decode, isFileName, names, rebase, sameFiles, stateOf } from '../src/rules/changes'
import { reportParts } from '../src/rules/reportMarkup'
import { compoundLines, settings } from '../src/rules/says'
import en from '../src/i18n/en'
import zh from '../src/i18n/zh'

const base = { 'a.toml': '1', 'b.toml': '2', 'c.csv': '3' }

test('what an edit does to each file', () => {
  const edited = { 'a.toml': '1', 'b.toml': '2b', 'd.toml': '4' }
  expect(Object.fromEntries(names(base, edited).map((name) => [name, stateOf(name, base, edited)]))).toEqual({
    'a.toml': 'same', 'b.toml': 'changed', 'c.csv': 'removed', 'd.toml': 'added',
  })
  expect(changed(base, edited)).toEqual(['b.toml', 'd.toml', 'c.csv'])
  expect(sameFiles(base, { ...base })).toBe(true)
})

test('edits are carried over to a newer version: what nobody else touched, as it is there; what both did, mine, and it is said', () => {
  const edited = { 'a.toml': 'mine', 'b.toml': '2' }
  const onto = { 'a.toml': 'theirs', 'b.toml': 'theirs', 'c.csv': '3', 'e.toml': 'new' }
  expect(rebase(base, edited, onto)).toStrictEqual({
    files: { 'a.toml': 'mine', 'b.toml': 'theirs', 'e.toml': 'new' },
    both: ['a.toml'],
  })
})

test('the same change made by both is no conflict', () => {
  expect(rebase(base, { ...base, 'a.toml': 'x' }, { ...base, 'a.toml': 'x' }).both).toEqual([])
})

test('file names are plain, with one of two endings', () => {
  expect(['a.toml', '阈值.csv', 'landslide-2 b.toml'].every(isFileName)).toBe(true)
  expect(['../a.toml', 'a/b.csv', 'a.txt', '.toml', '', 'a.toml.exe'].some(isFileName)).toBe(false)
})

test('tables are read as UTF-8, or as Excel writes them in China', () => {
  expect(decode(new TextEncoder().encode('站,1').buffer as ArrayBuffer)).toBe('站,1')
  expect(decode(new Uint8Array([0xd5, 0xbe, 0xb5, 0xe3, 0x2c, 0x31]).buffer)).toBe('站点,1')
})

test('a Chinese character is two columns wide, a tab goes to the next stop', () => {
  expect(['abc', '暴雨 1', '\tx', 'ab\tx'].map(columns)).toEqual([3, 6, 9, 9])
})

test('a report is shown without its scripts, with its styles apart', () => {
  const html = '<html><head><style>a{}</style><STYLE media="x">b{}</STYLE></head><body><p>x</p><script>evil()</script ></body>'
  const { markup, css } = reportParts(html)
  expect(css).toBe('a{}\nb{}')
  expect(markup).toBe('<html><head></head><body><p>x</p></body>')
  expect(reportParts('<p>1</p><script>never ended').markup).toBe('<p>1</p>')
})

test('what a rule goes by: its conditions apart, and no setting that says nothing', () => {
  const says = { n: 3, within: 300, masks: {}, grave: [], relation: '', alone: null, tell: false, lines: [{ level: 'red', when: { least: 1, of: [] } }] }
  expect(settings(says)).toEqual([['n', '3'], ['within', '300'], ['tell', 'false']])
  expect(compoundLines(says)).toHaveLength(1)
  expect(compoundLines(null)).toEqual([])
})

test('both languages say the same things, with the same blanks to fill', () => {
  const texts = (tree: object, path = ''): [string, string][] =>
    Object.entries(tree).flatMap(([name, value]) =>
      typeof value === 'string' ? [[`${path}.${name}`, value] as [string, string]] : texts(value, `${path}.${name}`),
    )
  const blanks = (text: string) => [...new Set([...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name))].sort().join()
  const chinese = new Map(texts(zh))
  for (const [path, text] of texts(en)) {
    expect(chinese.has(path), path).toBe(true)
    if (path.startsWith('.ruleBook') || path.startsWith('.why')) expect(blanks(text), path).toBe(blanks(chinese.get(path)!))
  }
})
