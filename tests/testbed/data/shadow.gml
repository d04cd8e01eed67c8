# A graph in the form of Shadow's "Network Graph Specification", our own: three cities, each linked with the
# others and, as Shadow wants it, with itself.
graph [
  directed 0
  node [
    id 0
    label "node at 192.0.2.10"
    country_code "GB"
    city_code "Manchester"
    host_bandwidth_down "1 Gbit"
    host_bandwidth_up "200 Mbit"
  ]
  node [
    id 1
    label "Lyon"
    host_bandwidth_down "100 Mbit"
    host_bandwidth_up "20 Mbit"
  ]
  node [
    id 2
    host_bandwidth_down "8 Mbit"
    host_bandwidth_up "800 Kbit"
  ]
  edge [
    source 0
    target 0
    label "within Manchester"
    latency "1 ms"
    packet_loss 0.0
  ]
  edge [
    source 1
    target 1
    latency "1 ms"
    packet_loss 0.0
  ]
  edge [
    source 2
    target 2
    latency "1 ms"
    packet_loss 0.0
  ]
  edge [
    source 0
    target 1
    latency "15 ms"
    jitter "0 ms"
    packet_loss 0.0
  ]
  edge [
    source 0
    target 2
    latency "50 ms"
    jitter "10 ms"
    packet_loss 0.0
  ]
  edge [
    source 1
    target 2
    latency "30000 microseconds"
    packet_loss 0.001
  ]
]
