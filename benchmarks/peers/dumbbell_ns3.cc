/* ns-3: a dumbbell of PAIRS senders and receivers, each pair with a TCP connection that sends all the time, simulated
   for MILLISECONDS of its own time.

       dumbbell_ns3 PAIRS MILLISECONDS [--routing=static|table] [--congestion=cubic|reno]

   The link in the middle has 1 Gbit/s, 9 ms, and drop-tail queues of 2.5 MB, as much as it carries in a round trip; those
   at the ends have 10 Gbit/s, 0.5 ms, and 1000 packets. Connection i is opened after i / PAIRS of 20 ms. One line of JSON
   says how many packets came to the host that they were for, data and acknowledgements, a second of this computer's time;
   building the network is not counted.

   A router looks through all its interfaces for every packet, and through all its routes; `--routing=table` spares it the
   latter. What else is done to be fast stands in star_ns3.cc. TCP is set to what Linux has: segments of 1448 bytes,
   timestamps, SACK, an initial window of 10, buffers of 4 and 6 MB, and an acknowledgement of every second segment. */
#include <ns3/core-module.h>
#include <ns3/internet-module.h>
#include <ns3/network-module.h>
#include <ns3/point-to-point-module.h>

#include <iostream>
#include <string>
#include <vector>

#include "table_ns3.h"

extern "C" {
#include "common.h"
}

using namespace ns3;

static const uint32_t PORT = 5001;
static const int64_t OPENING = 20000000; /* nanoseconds in which all are opened */
static const double RATE = 1e9;          /* bits per second */
static const uint32_t LEFT = 0x0a000000, RIGHT = 0x0a800000, MIDDLE = 0xac100000; /* 10.0, 10.128, 172.16 */

static uint64_t delivered = 0; /* packets */
static void count_packet(const Ipv4Header &, Ptr<const Packet>, uint32_t) { delivered++; }

static double cpu_now() {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void as_linux(const std::string &congestion) {
    std::string kind = congestion == "cubic" ? "ns3::TcpCubic" : "ns3::TcpLinuxReno";
    Config::SetDefault("ns3::TcpL4Protocol::SocketType", TypeIdValue(TypeId::LookupByName(kind)));
    Config::SetDefault("ns3::TcpSocket::SegmentSize", UintegerValue(1448));
    Config::SetDefault("ns3::TcpSocket::SndBufSize", UintegerValue(4 << 20));
    Config::SetDefault("ns3::TcpSocket::RcvBufSize", UintegerValue(6 << 20));
    Config::SetDefault("ns3::TcpSocket::DelAckTimeout", TimeValue(MilliSeconds(40)));
    Config::SetDefault("ns3::TcpSocketBase::MinRto", TimeValue(MilliSeconds(200)));
}

/* A connection that sends all the time. */
struct Pair {
    Ptr<Socket> from, listener, to;
    uint64_t received = 0;

    void Open(Ipv4Address address) {
        from->SetConnectCallback(MakeCallback(&Pair::Connected, this), MakeNullCallback<void, Ptr<Socket>>());
        from->SetSendCallback(MakeCallback(&Pair::Fill, this));
        from->Bind();
        from->Connect(InetSocketAddress(address, PORT));
    }
    void Connected(Ptr<Socket> socket) { Fill(socket, socket->GetTxAvailable()); }
    void Fill(Ptr<Socket> socket, uint32_t) {
        while (uint32_t room = socket->GetTxAvailable()) {
            if (socket->Send(Create<Packet>(std::min<uint32_t>(room, 1 << 16))) < 0) return;
        }
    }
    void Accepted(Ptr<Socket> socket, const Address &) {
        to = socket;
        to->SetRecvCallback(MakeCallback(&Pair::Take, this));
    }
    void Take(Ptr<Socket> socket) {
        while (Ptr<Packet> packet = socket->Recv()) received += packet->GetSize();
    }
};

class Dumbbell {
  public:
    std::vector<Pair> pairs;

    Dumbbell(int number, bool table) : pairs(number), table(table) {
        if (table)
            stack.SetRoutingHelper(TableHelper());
        else
            stack.SetRoutingHelper(Ipv4StaticRoutingHelper());
        stack.SetIpv6StackInstall(false);
        Ptr<Node> left = NewNode(), right = NewNode();
        Link(left, right, "1Gbps", "9ms", "2500000B", MIDDLE);
        for (int index = 0; index < number; index++) {
            Pair &pair = pairs[index];
            Ptr<Node> sender = NewNode(), receiver = NewNode();
            uint32_t from = LEFT + 4 * index, to = RIGHT + 4 * index;
            Link(left, sender, "10Gbps", "0.5ms", "1000p", from);
            Link(right, receiver, "10Gbps", "0.5ms", "1000p", to);
            Route(sender, to, 1, from + 1); /* interface 0 is the loopback */
            Route(receiver, from, 1, to + 1);
            if (table || index == 0) { /* a static route may be for many */
                Route(left, to, 1, MIDDLE + 2, index == 0);
                Route(right, from, 1, MIDDLE + 1, index == 0);
            }
            if (table) {
                Route(left, from, 2 + index, from + 2);
                Route(right, to, 2 + index, to + 2);
            }
            pair.from = Socket::CreateSocket(sender, TcpSocketFactory::GetTypeId());
            pair.listener = Socket::CreateSocket(receiver, TcpSocketFactory::GetTypeId());
            pair.listener->Bind(InetSocketAddress(Ipv4Address::GetAny(), PORT));
            pair.listener->Listen();
            pair.listener->SetAcceptCallback(MakeNullCallback<bool, Ptr<Socket>, const Address &>(),
                                             MakeCallback(&Pair::Accepted, &pair));
            for (Ptr<Node> node : {sender, receiver})
                node->GetObject<Ipv4L3Protocol>()->TraceConnectWithoutContext("LocalDeliver",
                                                                             MakeCallback(&count_packet));
        }
    }

  private:
    InternetStackHelper stack;
    bool table;

    Ptr<Node> NewNode() {
        Ptr<Node> node = CreateObject<Node>();
        stack.Install(node);
        return node;
    }

    void Link(Ptr<Node> one, Ptr<Node> other, const char *rate, const char *delay, const char *queue, uint32_t net) {
        PointToPointHelper wires;
        wires.SetDeviceAttribute("DataRate", StringValue(rate));
        wires.SetChannelAttribute("Delay", StringValue(delay));
        wires.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", StringValue(queue));
        NetDeviceContainer ends = wires.Install(one, other);
        for (int side = 0; side < 2; side++) {
            Ptr<Ipv4> ip = ends.Get(side)->GetNode()->GetObject<Ipv4>();
            uint32_t interface = ip->AddInterface(ends.Get(side));
            ip->AddAddress(interface, Ipv4InterfaceAddress(Ipv4Address(net + 1 + side), Ipv4Mask("/30")));
            ip->SetUp(interface);
        }
    }

    /* Tell a node the way to the host of a link, or to all on that side. */
    void Route(Ptr<Node> node, uint32_t net, uint32_t interface, uint32_t gateway, bool whole_side = false) {
        Ptr<Ipv4> ip = node->GetObject<Ipv4>();
        if (table) {
            Ptr<Ipv4Route> route = Create<Ipv4Route>();
            route->SetSource(ip->GetAddress(interface, 0).GetLocal());
            route->SetGateway(Ipv4Address(gateway));
            route->SetOutputDevice(ip->GetNetDevice(interface));
            DynamicCast<Table>(ip->GetRoutingProtocol())->routes[net + 2] = route;
            return;
        }
        Ipv4Mask mask(whole_side ? "/9" : "/30");
        DynamicCast<Ipv4StaticRouting>(ip->GetRoutingProtocol())
            ->AddNetworkRouteTo(Ipv4Address(net).CombineMask(mask), mask, Ipv4Address(gateway), interface);
    }
};

int main(int argc, char **argv) {
    int number = 0, milliseconds = 0;
    std::string routing = "static", congestion = "cubic";
    CommandLine command;
    command.AddNonOption("pairs", "how many", number);
    command.AddNonOption("milliseconds", "for how long they send", milliseconds);
    command.AddValue("routing", "static or table", routing);
    command.AddValue("congestion", "cubic or reno", congestion);
    command.Parse(argc, argv);
    if (number < 1 || number > 1 << 20 || milliseconds < 1 || (routing != "static" && routing != "table") ||
        (congestion != "cubic" && congestion != "reno"))
        return 2;

    double before = now();
    Config::SetDefault("ns3::Ipv4::WeakEsModel", BooleanValue(false));
    as_linux(congestion);
    Dumbbell bell(number, routing == "table");
    Simulator::Stop(Seconds(1)); /* for what nodes do at their start */
    Simulator::Run();
    double built = now() - before;

    for (int index = 0; index < number; index++)
        Simulator::Schedule(NanoSeconds(OPENING * index / number), &Pair::Open, &bell.pairs[index],
                            Ipv4Address(RIGHT + 4 * index + 2));
    Simulator::Stop(MilliSeconds(milliseconds));
    double cpu = cpu_now();
    before = now();
    Simulator::Run();
    double seconds = now() - before;
    cpu = cpu_now() - cpu;

    uint64_t received = 0;
    for (const Pair &pair : bell.pairs) received += pair.received;
    double used = received * 8 / (RATE * milliseconds / 1000);
    std::string version = std::to_string(Version::Major()) + "." + std::to_string(Version::Minor());
    printf("{\"about\": \"ns-3 %s, %s build (dumbbell, routes: %s, %s)\", \"pairs\": %d, \"milliseconds\": %d, "
           "\"delivered\": %llu, \"received\": %llu, \"used\": %f, \"built\": %f, \"seconds\": %f, \"cpu\": %f, "
           "\"rate\": %f}\n",
           version.c_str(), Version::BuildProfile().c_str(), routing.c_str(), congestion.c_str(), number, milliseconds,
           static_cast<unsigned long long>(delivered), static_cast<unsigned long long>(received), used, built, seconds,
           cpu, delivered / seconds);
    fflush(stdout);
    _Exit(0); /* to take all that apart again is no part of the work */
}
