graph [
  multigraph 1
  ipv6 1
  node [
    id 0
    label "studio"
    kind "host"
    address "192.0.2.1"
    address "2001:db8::1"
  ]
  node [
    id 1
    label "gateway"
    kind "router"
    address "192.0.2.2"
    fast_leave 1
  ]
  node [
    id 2
    label "switch-1"
    kind "switch"
    snooping 1
    unknown "drop"
  ]
  node [
    id 3
    label "viewer-0"
    kind "host"
  ]
  node [
    id 4
    label "viewer-1"
    kind "host"
  ]
  node [
    id 5
    label "home"
    kind "nat"
    udp_timeout "120 s"
  ]
  edge [
    source 0
    target 1
    key 0
    delay "20 ms"
    rate "1 Gbit/s"
  ]
  edge [
    source 0
    target 1
    key 1
    delay "33.5 ms"
    rate "100 Mbit/s"
    queue "64 KiB"
    mtu 9000
  ]
  edge [
    source 1
    target 5
    key 0
    delay "3 ms"
  ]
  edge [
    source 1
    target 2
    key 0
    delay "1.5 ms"
    jitter "250 us"
    reordering 1
    queue "unlimited"
  ]
  edge [
    source 2
    target 3
    key 0
    loss 1.E-07
    queue "100 packets"
    duplicate "0.5 %"
    corrupt "0.1 %"
    reorder "25 %"
    back [
      loss "0 %"
      rate "1.234567 Mbit/s"
    ]
  ]
  edge [
    source 2
    target 4
    key 0
    delay "7 ns"
    rate "20 Mbit/s"
    back [
      delay "0 s"
      rate "unlimited"
      mtu 1280
    ]
  ]
  edge [
    source 3
    target 4
    key 0
    delay "2 s"
    one_way 1
  ]
]
