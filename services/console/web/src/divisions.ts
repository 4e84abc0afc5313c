/** Names of places. Many sites carry their township's name already, which must not be said twice. */

import type { Division } from './types'

interface Placed {
  name: string
  township: Division
}

export function fullName({ name, township }: Placed): string {
  return name.startsWith(township.name) ? name : `${township.name} ${name}`
}

/** For the map, where the township is written next to it. */
export function shortName({ name, township }: Placed): string {
  return (name.startsWith(township.name) && name.slice(township.name.length)) || name
}
