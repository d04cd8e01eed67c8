/* ns-3: routes by destination in a hash table, which its library does not have (Ipv4StaticRouting looks through all
   routes, NixVectorRouting through all devices). */
#include <ns3/internet-module.h>

#include <unordered_map>

class Table : public ns3::Ipv4RoutingProtocol {
  public:
    static ns3::TypeId GetTypeId() {
        static ns3::TypeId id =
            ns3::TypeId("Table").SetParent<ns3::Ipv4RoutingProtocol>().AddConstructor<Table>();
        return id;
    }

    std::unordered_map<uint32_t, ns3::Ptr<ns3::Ipv4Route>> routes;

    ns3::Ptr<ns3::Ipv4Route> RouteOutput(ns3::Ptr<ns3::Packet>, const ns3::Ipv4Header &header,
                                         ns3::Ptr<ns3::NetDevice>, ns3::Socket::SocketErrno &error) override {
        auto found = routes.find(header.GetDestination().Get());
        error = found == routes.end() ? ns3::Socket::ERROR_NOROUTETOHOST : ns3::Socket::ERROR_NOTERROR;
        return found == routes.end() ? nullptr : found->second;
    }

    bool RouteInput(ns3::Ptr<const ns3::Packet> packet, const ns3::Ipv4Header &header,
                    ns3::Ptr<const ns3::NetDevice> device, UnicastForwardCallback forward, MulticastForwardCallback,
                    LocalDeliverCallback deliver, ErrorCallback) override {
        uint32_t interface = ip->GetInterfaceForDevice(device);
        if (ip->IsDestinationAddress(header.GetDestination(), interface)) {
            deliver(packet, header, interface);
            return true;
        }
        auto found = routes.find(header.GetDestination().Get());
        if (found == routes.end()) return false;
        forward(found->second, packet, header);
        return true;
    }

    void SetIpv4(ns3::Ptr<ns3::Ipv4> one) override { ip = one; }
    void NotifyInterfaceUp(uint32_t) override {}
    void NotifyInterfaceDown(uint32_t) override {}
    void NotifyAddAddress(uint32_t, ns3::Ipv4InterfaceAddress) override {}
    void NotifyRemoveAddress(uint32_t, ns3::Ipv4InterfaceAddress) override {}
    void PrintRoutingTable(ns3::Ptr<ns3::OutputStreamWrapper>, ns3::Time::Unit) const override {}

  private:
    ns3::Ptr<ns3::Ipv4> ip;
};

class TableHelper : public ns3::Ipv4RoutingHelper {
  public:
    TableHelper *Copy() const override { return new TableHelper(*this); }
    ns3::Ptr<ns3::Ipv4RoutingProtocol> Create(ns3::Ptr<ns3::Node>) const override {
        return ns3::CreateObject<Table>();
    }
};
