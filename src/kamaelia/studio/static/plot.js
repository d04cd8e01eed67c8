// Rates and queues over the last two minutes, drawn by uPlot.

import {h} from "./dom.js"
import {short} from "./words.js"

const HEIGHT = 118

/** A plot. Lines are {label, colour}, where colour names a property of our style sheet. */
export class Plot {
  constructor(lines) {
    const key = lines.map(({label, colour}) => {
      const mark = h("i", {"aria-hidden": "true"})
      mark.style.background = `var(${colour})`
      return h("span", {}, mark, label)
    })
    this.element = h("figure", {class: "plot"}, h("figcaption", {}, key))
    this.lines = lines
    this.plot = null
  }

  /** Draw what there is; the first value of each line belongs to the first time. */
  draw(times, values) {
    const width = this.element.clientWidth
    if (!width || times.length < 2) return
    const now = times.at(-1)
    const data = [times.map(time => time - now), ...values]
    if (!this.plot) this.make(width, data)
    else {
      if (this.plot.width !== width) this.plot.setSize({width, height: HEIGHT})
      this.plot.setData(data)
    }
  }

  make(width, data) {
    const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
    const axis = {stroke: colour("--soft"), grid: {stroke: colour("--line"), width: 1}, ticks: {show: false}, font: "11px sans-serif"}
    this.plot = new uPlot({
      width,
      height: HEIGHT,
      legend: {show: false},
      cursor: {show: false},
      scales: {x: {time: false}, y: {range: (plot, least, most) => [0, Math.max(most || 0, 1) * 1.08]}},
      axes: [
        {...axis, size: 22, values: (plot, marks) => marks.map(mark => mark === 0 ? "now" : `${mark} s`)},
        {...axis, size: 44, values: (plot, marks) => marks.map(short)},
      ],
      series: [{}, ...this.lines.map(line => ({
        label: line.label, stroke: colour(line.colour), width: 1.5, points: {show: false}, spanGaps: true,
      }))],
    }, data, this.element)
    this.plot.root.setAttribute("aria-hidden", "true")
  }

  close() {
    this.plot?.destroy()
    this.plot = null
  }
}
