/* ns-3: a star of a sender, a router and VIEWERS viewers, simulated for MILLISECONDS of its own time.

       star_ns3 VIEWERS MILLISECONDS [--shape=star|tree] [--routing=static|table]

   The sender sends each viewer 200 datagrams of 1316 bytes a second. The first link has 10 Gbit/s (100 with more than
   4000 viewers) and 20 ms, the last ones 20 Mbit/s and 5 ms; all have a drop-tail queue of 64 packets, and at its end
   the last link loses one packet in a hundred. One line of JSON says how many datagrams came a second of this
   computer's time, from the first one sent until all have come; building the network is not counted.

   A router of ns-3 looks through all its interfaces for every packet that it takes in. So there is a second shape, a
   tree of routers of 32 ports each, which spares it that, and costs it a hop more for every factor of 32. The links
   between routers are like the first one, but without its delay.

   What is done to be fast, as somebody would who knows ns-3 well:
   - Addresses are set by hand. The usual helper would put a queue discipline (FqCoDel) in front of each queue, and
     an IPv6 stack is not installed either.
   - A node takes a packet for its own only at the interface that has the address (WeakEsModel is false). Otherwise it
     compares the addresses of all interfaces.
   - The routes are static ones, or, with `--routing=table`, in a hash table (`Table`, a routing protocol of our own):
     both kinds in the library look through a list, Ipv4StaticRouting through all routes, NixVectorRouting through all
     devices.
   - There are no traces, no checksums and no contents: ns-3 makes a packet without allocating its bytes.
   - Of the queues of events the usual one (MapScheduler) was the fastest, or as fast as any.
   The library is Debian's (libns3-dev 3.37-2): a release build, with optimisation and without assertions, but with
   its logging compiled in. To find that it is off takes 2 to 8 % of the time. */
#include <ns3/core-module.h>
#include <ns3/internet-module.h>
#include <ns3/network-module.h>
#include <ns3/point-to-point-module.h>

#include <cmath>
#include <iostream>
#include <string>
#include <vector>

#include "table_ns3.h"

extern "C" {
#include "common.h"
}

using namespace ns3;

static const int PORTS = 32;                        /* downwards, of a router of a tree */
static const uint32_t PAYLOAD = 1316;               /* bytes */
static const double ON_WIRE = PAYLOAD + 8 + 20 + 2; /* with the heads of UDP, IP and PPP */
static const int64_t EVERY = 5000000;               /* nanoseconds */
static const double LOSS = 0.01;
static const uint32_t VIEWERS = 0x0a000000;         /* 10.0.0.0: four addresses for each viewer's link */
static const uint32_t ROUTERS = 0xac100000;         /* 172.16.0.0: four for each link between routers */

static double cpu_now() {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

/* A viewer, and the one who sends to it; times in nanoseconds. */
struct Viewer {
    Ptr<Socket> from, to;
    int64_t start, first = -1, last = -1;
    long left, received = 0;

    void Send() {
        from->Send(Create<Packet>(PAYLOAD));
        if (--left > 0) Simulator::Schedule(NanoSeconds(EVERY), &Viewer::Send, this);
    }

    void Take(Ptr<Socket> socket) {
        while (socket->Recv()) {
            last = Simulator::Now().GetNanoSeconds();
            if (received++ == 0) first = last;
        }
    }
};

class Star {
  public:
    std::vector<Viewer> viewers;
    int64_t delay; /* of a packet that waits for no other: nanoseconds */

    Star(int number, bool tree, bool table) : viewers(number), table(table) {
        fast = number > 4000 ? "100Gbps" : "10Gbps";
        ports = tree ? PORTS : number;
        if (table)
            stack.SetRoutingHelper(TableHelper());
        else
            stack.SetRoutingHelper(Ipv4StaticRoutingHelper());
        stack.SetIpv6StackInstall(false);
        wires.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", StringValue("64p"));
        sender = NewNode();
        int span = 1, levels = 0; /* of how many viewers each port of the first router takes care */
        for (int reached = ports; reached < number; reached *= ports) span *= ports, levels++;
        Ptr<Node> router = NewRouter(sender, "20ms", 0, number);
        Grow(router, 0, number, span);
        double sending = ON_WIRE * 8 * ((levels + 1) / (number > 4000 ? 100e9 : 10e9) + 1 / 20e6);
        delay = 25000000 + llround(sending * 1e9);
    }

  private:
    InternetStackHelper stack;
    PointToPointHelper wires;
    Ptr<Node> sender;
    std::string fast;
    uint32_t links = 0; /* between routers */
    int ports;
    bool table;

    Ptr<Node> NewNode() {
        Ptr<Node> node = CreateObject<Node>();
        stack.Install(node);
        return node;
    }

    uint32_t NewInterface(Ptr<NetDevice> device, uint32_t address) {
        Ptr<Ipv4> ip = device->GetNode()->GetObject<Ipv4>();
        uint32_t interface = ip->AddInterface(device);
        ip->AddAddress(interface, Ipv4InterfaceAddress(Ipv4Address(address), Ipv4Mask("/30")));
        ip->SetUp(interface);
        return interface;
    }

    /* Link a node to another one below it, and tell it that the way to `count` viewers from `first` on leads there. */
    Ptr<NetDevice> Link(Ptr<Node> above, Ptr<Node> below, const std::string &rate, const std::string &delay,
                        uint32_t address, int first, int count, int span) {
        wires.SetDeviceAttribute("DataRate", StringValue(rate));
        wires.SetChannelAttribute("Delay", StringValue(delay));
        NetDeviceContainer ends = wires.Install(above, below);
        uint32_t interface = NewInterface(ends.Get(0), address + 1);
        NewInterface(ends.Get(1), address + 2);
        Ptr<Ipv4RoutingProtocol> routing = above->GetObject<Ipv4>()->GetRoutingProtocol();
        if (table) {
            Ptr<Ipv4Route> route = Create<Ipv4Route>();
            route->SetSource(Ipv4Address(address + 1));
            route->SetGateway(Ipv4Address(address + 2));
            route->SetOutputDevice(ends.Get(0));
            for (int index = first; index < first + count; index++)
                DynamicCast<Table>(routing)->routes[VIEWERS + 4 * index + 2] = route;
        } else if (span > 1) { /* to who is linked itself there is a route already */
            Ipv4Mask mask(~(uint32_t)(4 * span - 1));
            DynamicCast<Ipv4StaticRouting>(routing)->AddNetworkRouteTo(
                Ipv4Address(VIEWERS + 4 * first).CombineMask(mask), mask, Ipv4Address(address + 2), interface);
        }
        return ends.Get(1);
    }

    Ptr<Node> NewRouter(Ptr<Node> above, const std::string &delay, int first, int count) {
        Ptr<Node> router = NewNode();
        int span = 1;
        while (span < count) span *= 2;
        Link(above, router, fast, delay, ROUTERS + 4 * links++, first, count, std::max(span, 2));
        return router;
    }

    void Grow(Ptr<Node> router, int first, int count, int span) {
        for (int index = first; index < first + count; index += span) {
            if (span == 1) {
                Settle(router, index);
                continue;
            }
            int below = std::min(span, first + count - index);
            Grow(NewRouter(router, "0ms", index, below), index, below, span / ports);
        }
    }

    void Settle(Ptr<Node> router, int index) {
        Ptr<Node> node = NewNode();
        uint32_t address = VIEWERS + 4 * index;
        Ptr<NetDevice> end = Link(router, node, "20Mbps", "5ms", address, index, 1, 1);
        Ptr<RateErrorModel> loss = CreateObject<RateErrorModel>();
        loss->SetUnit(RateErrorModel::ERROR_UNIT_PACKET);
        loss->SetRate(LOSS);
        DynamicCast<PointToPointNetDevice>(end)->SetReceiveErrorModel(loss);
        Viewer &viewer = viewers[index];
        viewer.to = Socket::CreateSocket(node, UdpSocketFactory::GetTypeId());
        viewer.to->Bind(InetSocketAddress(Ipv4Address::GetAny(), 9));
        viewer.to->SetRecvCallback(MakeCallback(&Viewer::Take, &viewer));
        viewer.from = Socket::CreateSocket(sender, UdpSocketFactory::GetTypeId());
        viewer.from->Bind();
        viewer.from->Connect(InetSocketAddress(Ipv4Address(address + 2), 9));
    }
};

static void check(bool good, const char *what) {
    if (good) return;
    errno = 0;
    fail(what);
}

/* No packet has waited for another, and as many have come as should, to five standard deviations. */
static void check(const Star &star, long each, long delivered) {
    int64_t soonest = INT64_MAX, latest = 0;
    for (const Viewer &viewer : star.viewers) {
        check(viewer.received > 0, "what came to a viewer");
        int64_t first = viewer.first - viewer.start - star.delay, last = viewer.last - viewer.start - star.delay;
        /* The times of sending on each link are rounded to nanoseconds, so it may be some more or less. */
        check((first + 10) % EVERY <= 20 && (last + 10) % EVERY <= 20, "the delay");
        soonest = std::min(soonest, first);
        latest = std::max(latest, last);
    }
    check(std::abs(soonest) <= 10 && std::abs(latest - (each - 1) * EVERY) <= 10, "the delay");
    double sent = (double)each * star.viewers.size();
    check(std::abs(delivered - sent * (1 - LOSS)) <= 5 * sqrt(sent * LOSS * (1 - LOSS)), "the number of losses");
}

int main(int argc, char **argv) {
    int number = 0, milliseconds = 0;
    std::string shape = "star", routing = "static";
    CommandLine command;
    command.AddNonOption("viewers", "how many", number);
    command.AddNonOption("milliseconds", "for how long each is sent to, a multiple of 5", milliseconds);
    command.AddValue("shape", "star or tree", shape);
    command.AddValue("routing", "static or table", routing);
    command.Parse(argc, argv);
    long each = milliseconds * 1000000L / EVERY;
    if (number < 1 || number > 1 << 20 || each < 1 || (shape != "star" && shape != "tree") ||
        (routing != "table" && routing != "static"))
        return 2;

    double before = now();
    Config::SetDefault("ns3::Ipv4::WeakEsModel", BooleanValue(false));
    Star star(number, shape == "tree", routing == "table");
    Simulator::Stop(Seconds(1)); /* for what nodes do at their start */
    Simulator::Run();
    double built = now() - before;

    for (int index = 0; index < number; index++) {
        Viewer &viewer = star.viewers[index];
        Time start = NanoSeconds(EVERY * index / number);
        viewer.start = (Simulator::Now() + start).GetNanoSeconds();
        viewer.left = each;
        Simulator::Schedule(start, &Viewer::Send, &viewer);
    }
    double cpu = cpu_now();
    before = now();
    Simulator::Run();
    double seconds = now() - before;
    cpu = cpu_now() - cpu;

    long delivered = 0;
    for (const Viewer &viewer : star.viewers) delivered += viewer.received;
    check(star, each, delivered);
    std::string version = std::to_string(Version::Major()) + "." + std::to_string(Version::Minor());
    printf("{\"about\": \"ns-3 %s, %s build (%s, routes: %s)\", \"viewers\": %d, \"milliseconds\": %d, "
           "\"delivered\": %ld, \"built\": %f, \"seconds\": %f, \"cpu\": %f, \"rate\": %f}\n",
           version.c_str(), Version::BuildProfile().c_str(), shape.c_str(), routing.c_str(), number, milliseconds,
           delivered, built, seconds, cpu, delivered / seconds);
    fflush(stdout);
    _Exit(0); /* to take all that apart again is no part of the work */
}
