/* A queue of ns-3 in front of a line, for comparing its drops with ours.

       queues_ns3 QUEUE TRACE RATE [NAME=VALUE ...]
       queues_ns3 draws STREAM COUNT

   QUEUE is RedQueueDisc, CoDelQueueDisc or FqCoDelQueueDisc. TRACE is a file with a line for each packet that
   comes: nanosecond, bytes, number of the flow, ECN field (0 or not 0). The line sends RATE bits a second, and the
   time that a packet takes is cut to whole nanoseconds. NAME=VALUE sets an attribute of the queue; two that are none
   are "stream", for the random numbers of RED, and "Quantum", for FQ-CoDel. The number of the flow is its hash.
   A packet that comes just when another has been sent comes first.

   Printed is a line for each thing that happens: what, nanosecond, number of the packet in the trace, from 0 on. What
   is one of "s" sent (that is, taken out of the queue), "m" marked, "d" dropped, which has the reason behind it.

   The second form prints the first COUNT numbers that RED draws with stream STREAM, in full. */
#include "ns3/core-module.h"
#include "ns3/network-module.h"
#include "ns3/traffic-control-module.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

using namespace ns3;

struct Arrival {
    long long time;
    unsigned size, flow, ecn;
};

class Item : public QueueDiscItem {
  public:
    Item(unsigned number, const Arrival &arrival)
        : QueueDiscItem(Create<Packet>(arrival.size), Address(), 0), number(number), flow(arrival.flow),
          ecn(arrival.ecn) {}
    void AddHeader() override {}
    bool Mark() override { return ecn != 0; }
    uint32_t Hash(uint32_t) const override { return flow; }

    const unsigned number, flow, ecn;
};

static void tell(char what, Ptr<const QueueDiscItem> item, const char *reason) {
    std::printf("%c %lld %u%s%s\n", what, (long long)Simulator::Now().GetNanoSeconds(),
                static_cast<const Item *>(PeekPointer(item))->number, *reason ? " " : "", reason);
}

static void dropped(Ptr<const QueueDiscItem> item, const char *reason) { tell('d', item, reason); }

static void marked(Ptr<const QueueDiscItem> item, const char *reason) { tell('m', item, ""); }

class Line {
  public:
    Line(Ptr<QueueDisc> queue, long long rate) : queue(queue), rate(rate) {}

    void arrive(unsigned number, const Arrival &arrival) {
        queue->Enqueue(Create<Item>(number, arrival));
        if (!busy) send();
    }

  private:
    void send() {
        Ptr<QueueDiscItem> item = queue->Dequeue();
        busy = item != nullptr;
        if (!busy) return;
        tell('s', item, "");
        long long bits = 8LL * item->GetSize();
        Simulator::Schedule(NanoSeconds(bits * 1000000000LL / rate), &Line::send, this);
    }

    Ptr<QueueDisc> queue;
    long long rate;
    bool busy = false;
};

static int print_draws(int stream, int count) {
    Ptr<UniformRandomVariable> draws = CreateObject<UniformRandomVariable>();
    draws->SetStream(stream);
    while (count--) std::printf("%.17g\n", draws->GetValue());
    return 0;
}

static Ptr<QueueDisc> make_queue(const std::string &name, int count, char **settings) {
    ObjectFactory factory("ns3::" + name);
    Ptr<QueueDisc> queue = factory.Create<QueueDisc>();
    for (int i = 0; i < count; i++) {
        std::string setting = settings[i];
        size_t middle = setting.find('=');
        std::string key = setting.substr(0, middle), value = setting.substr(middle + 1);
        if (key == "stream")
            DynamicCast<RedQueueDisc>(queue)->AssignStreams(std::stoi(value));
        else if (key == "Quantum")
            DynamicCast<FqCoDelQueueDisc>(queue)->SetQuantum(std::stoi(value));
        else
            queue->SetAttribute(key, StringValue(value));
    }
    queue->TraceConnectWithoutContext("DropBeforeEnqueue", MakeCallback(&dropped));
    queue->TraceConnectWithoutContext("DropAfterDequeue", MakeCallback(&dropped));
    queue->TraceConnectWithoutContext("Mark", MakeCallback(&marked));
    queue->Initialize();
    return queue;
}

int main(int argc, char **argv) {
    if (argc == 4 && std::string(argv[1]) == "draws") return print_draws(std::atoi(argv[2]), std::atoi(argv[3]));
    if (argc < 4) {
        std::fprintf(stderr, "queues_ns3 QUEUE TRACE RATE [NAME=VALUE ...], or queues_ns3 draws STREAM COUNT\n");
        return 2;
    }
    std::FILE *file = std::fopen(argv[2], "r");
    if (!file) {
        std::perror(argv[2]);
        return 2;
    }
    std::vector<Arrival> arrivals;
    Arrival one;
    while (std::fscanf(file, "%lld %u %u %u", &one.time, &one.size, &one.flow, &one.ecn) == 4)
        arrivals.push_back(one);
    std::fclose(file);
    Line line(make_queue(argv[1], argc - 4, argv + 4), std::atoll(argv[3]));
    for (unsigned i = 0; i < arrivals.size(); i++) /* all of them before any end of sending, so they come first */
        Simulator::Schedule(NanoSeconds(arrivals[i].time), &Line::arrive, &line, i, arrivals[i]);
    Simulator::Run();
    Simulator::Destroy();
    return 0;
}
