Creator "igraph"
Version 1
graph
[
  directed 1
  node
  [
    id 0
    name "café &quot;1&quot; &amp; more"
  ]
  node
  [
    id 1
    name "a"
  ]
  node
  [
    id 2
    name "b"
  ]
  node
  [
    id 3
    name "c"
  ]
  edge
  [
    source 0
    target 1
    delay 0.01
    rate 1000000
  ]
  edge
  [
    source 0
    target 2
    delay 0.02
    rate 2500000000
  ]
  edge
  [
    source 0
    target 3
    delay 0.1
    rate 100
  ]
]
