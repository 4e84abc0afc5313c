/** Townships on the map: their outlines, and their names as far as there is room for them. */

import * as L from 'leaflet'
import type { Township } from '../types'

const CHARACTER_PX = 13
const HEIGHT_PX = 18
/** Where a name may stand around the township's point, in steps of its own size; the first free place is taken. */
const PLACES = [[0, 0], [0, -1], [0, 1], [0, -1.7], [0, 1.7], [-0.5, 0], [0.5, 0]] as const

interface Label {
  marker: L.Marker
  township: Township
}

function labelOf(township: Township): Label {
  const html = document.createElement('span')
  html.textContent = township.name
  const icon = L.divIcon({ className: 'township-label', html, iconSize: [0, 0] })
  const marker = L.marker([township.latitude, township.longitude], { icon, interactive: false, keyboard: false })
  return { marker, township }
}

export function boxAround(centre: L.Point, width: number, height: number): L.Bounds {
  const half = L.point(width / 2, height / 2)
  return L.bounds(centre.subtract(half), centre.add(half))
}

export function drawTownships(map: L.Map, townships: Township[]) {
  const outlined = townships.filter(({ outline }) => outline.length > 2)
  const outlines = L.featureGroup(
    outlined.map(({ outline }) => L.polygon(outline, { className: 'township', interactive: false })),
  ).addTo(map)
  const labels = townships.map(labelOf)

  function extent({ outline, latitude, longitude }: Township): L.Bounds {
    const ring: [number, number][] = outline.length ? outline : [[latitude, longitude]]
    return L.bounds(ring.map((point) => map.latLngToLayerPoint(point)))
  }

  /** Greedy: a name is left out unless it finds a place clear of what is `taken`; the urgent ones choose first. */
  function placeLabels(urgent: Set<string>, taken: L.Bounds[]): void {
    const order = [...labels].sort((a, b) => +urgent.has(b.township.code) - +urgent.has(a.township.code))
    for (const { marker, township } of order) {
      const width = township.name.length * CHARACTER_PX
      const home = map.latLngToLayerPoint(marker.getLatLng())
      const shifts = PLACES.map(([x, y]) => L.point(x * width, y * HEIGHT_PX))
      const boxes = shifts.map((shift) => boxAround(home.add(shift), width, HEIGHT_PX))
      // A name moved off its township would name another.
      const own = extent(township)
      const place = boxes.findIndex(
        (box) => own.contains(box.getCenter()) && !taken.some((other) => other.overlaps(box)),
      )
      marker.remove()
      if (place < 0) continue
      taken.push(boxes[place]!)
      const element = marker.addTo(map).getElement()!
      element.classList.toggle('urgent', urgent.has(township.code))
      element.style.setProperty('--shift-x', `${shifts[place]!.x}px`)
      element.style.setProperty('--shift-y', `${shifts[place]!.y}px`)
    }
  }

  return { bounds: outlines.getBounds(), placeLabels }
}
