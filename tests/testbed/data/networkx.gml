graph [
  node [
    id 0
    label "0"
    kind "router"
  ]
  node [
    id 1
    label "1"
    kind "router"
  ]
  node [
    id 2
    label "2"
    kind "router"
  ]
  node [
    id 3
    label "3"
    address "_networkx_list_start"
    address "192.0.2.3"
  ]
  node [
    id 4
    label "4"
    address "192.0.2.4"
    address "2001:db8::4"
  ]
  node [
    id 5
    label "5"
  ]
  node [
    id 6
    label "6"
  ]
  edge [
    source 0
    target 1
    delay 0.001
    rate "10000000000"
    loss 1.E-05
    reordering 1
    back [
      rate "20 Mbit/s"
    ]
  ]
  edge [
    source 0
    target 2
    delay 0.002
    rate "10000000000"
    loss 1.E-05
    reordering 1
  ]
  edge [
    source 1
    target 3
    delay 0.003
    rate "10000000000"
    loss 1.E-05
    reordering 1
  ]
  edge [
    source 1
    target 4
    delay 0.004
    rate "10000000000"
    loss 1.E-05
    reordering 1
  ]
  edge [
    source 2
    target 5
    delay 0.005
    rate "10000000000"
    loss 1.E-05
    reordering 1
  ]
  edge [
    source 2
    target 6
    delay 0.006
    rate "10000000000"
    loss 1.E-05
    reordering 1
  ]
]
