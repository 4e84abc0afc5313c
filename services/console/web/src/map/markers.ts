/** Stations as signs whose shape is their kind and whose colour is the level at their site; a ring pulses around alerts. */

import * as L from 'leaflet'
import { SHAPES } from '../parts/shapes'
import type { Alert, Level, Station } from '../types'

const SIZE = 26
const SVG = 'http://www.w3.org/2000/svg'

function sign(station: Station): SVGElement {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', '0 0 24 24')
  const path = document.createElementNS(SVG, 'path')
  path.setAttribute('d', SHAPES[station.kind])
  svg.append(path)
  return svg
}

export interface StationLook {
  level: Level | null
  selected: boolean
  silent: boolean
  /** Read aloud and shown on hover. */
  words: string
}

export class StationMarker {
  readonly #marker: L.Marker
  #shown = ''

  constructor(map: L.Map, station: Station, choose: () => void) {
    const html = document.createElement('div')
    html.append(sign(station))
    this.#marker = L.marker([station.latitude, station.longitude], {
      icon: L.divIcon({ className: 'station-marker', html, iconSize: [SIZE, SIZE] }),
      riseOnHover: true,
    })
    this.#marker.bindTooltip('', { direction: 'top', offset: [0, -SIZE / 2], className: 'station-tip' })
    this.#marker.on('click', choose).addTo(map)
    const element = this.#marker.getElement()!
    element.dataset['testid'] = 'station-marker'
    element.dataset['stationId'] = station.id
    // Leaflet makes the marker focusable but leaves the key to us.
    element.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return
      event.preventDefault()
      choose()
    })
  }

  show(look: StationLook): void {
    // Called every second for every station, since ages pass; most often nothing has changed.
    const shown = JSON.stringify(look)
    if (shown === this.#shown) return
    this.#shown = shown
    const element = this.#marker.getElement()!
    element.dataset['level'] = look.level ?? 'none'
    element.classList.toggle('selected', look.selected)
    element.classList.toggle('silent', look.silent)
    element.setAttribute('aria-label', look.words)
    const tip = document.createElement('span')
    tip.textContent = look.words
    this.#marker.setTooltipContent(tip)
    this.#marker.setZIndexOffset(look.level || look.selected ? 500 : 0)
  }

  remove(): void {
    this.#marker.remove()
  }
}

/** The pulsing ring around a site with an open alert, carrying the level in words: colour never stands alone. */
export function alertRing(alert: Alert, words: string, selected: boolean, choose: () => void): L.LayerGroup {
  const html = document.createElement('div')
  html.dataset['level'] = alert.level ?? 'none'
  html.className = alert.drill ? 'ring drill' : 'ring'
  const name = document.createElement('span')
  name.dataset['level'] = alert.level ?? 'none'
  if (alert.drill) name.className = 'drill-stripes'
  name.textContent = words
  const at: [number, number] = [alert.site.latitude, alert.site.longitude]
  const icon = (className: string, content: HTMLElement) => L.divIcon({ className, html: content, iconSize: [0, 0] })
  // The ring lies beneath the station's sign, which stays clickable; its words lie above every sign, to be legible.
  return L.layerGroup([
    L.marker(at, {
      icon: icon(`alert-ring${selected ? ' selected' : ''}`, html),
      keyboard: false,
      zIndexOffset: -500,
    }).on('click', choose),
    L.marker(at, { icon: icon('alert-words', name), keyboard: false, zIndexOffset: 1000 }).on('click', choose),
  ])
}
