/** A report's page taken apart, so that it can be shown where the page's policy forbids styles in markup. Pure. */

export interface ReportParts {
  markup: string
  css: string
}

/** Its style sheets apart from the rest; scripts are left out, though the frame would run none. */
export function reportParts(html: string): ReportParts {
  const sheets: string[] = []
  const markup = html
    .replace(/<script\b[\s\S]*?(<\/script\s*>|$)/gi, '')
    .replace(/<style\b[^>]*>([\s\S]*?)(<\/style\s*>|$)/gi, (_, css: string) => {
      sheets.push(css)
      return ''
    })
  return { markup, css: sheets.join('\n') }
}
