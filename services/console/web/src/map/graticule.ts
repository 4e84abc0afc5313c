/** Lines of latitude and longitude with their degrees at the edge: the only base map that needs no internet. */

import * as L from 'leaflet'

const STEPS = [1, 0.5, 0.2, 0.1, 0.05, 0.02]
const WANTED_LINES = 4

function label(at: L.LatLngExpression, text: string, edge: 'west' | 'south'): L.Marker {
  const span = document.createElement('span')
  span.textContent = text
  return L.marker(at, {
    icon: L.divIcon({ className: `degree ${edge}`, html: span, iconSize: [0, 0] }),
    interactive: false,
    keyboard: false,
  })
}

function multiples(step: number, from: number, to: number): number[] {
  const first = Math.ceil(from / step)
  return Array.from({ length: Math.max(0, Math.floor(to / step) - first + 1) }, (_, i) => (first + i) * step)
}

export function drawGraticule(map: L.Map): () => void {
  const lines = L.layerGroup().addTo(map)
  const style: L.PolylineOptions = { className: 'graticule', interactive: false }

  return function redraw(): void {
    lines.clearLayers()
    const seen = map.getBounds()
    const [south, north, west, east] = [seen.getSouth(), seen.getNorth(), seen.getWest(), seen.getEast()]
    const step = STEPS.find((s) => (east - west) / s >= WANTED_LINES) ?? 0.01
    for (const latitude of multiples(step, south, north)) {
      lines.addLayer(L.polyline([[latitude, west], [latitude, east]], style))
      lines.addLayer(label([latitude, west], `${latitude.toFixed(2)}°N`, 'west'))
    }
    for (const longitude of multiples(step, west, east)) {
      lines.addLayer(L.polyline([[south, longitude], [north, longitude]], style))
      lines.addLayer(label([south, longitude], `${longitude.toFixed(2)}°E`, 'south'))
    }
  }
}
