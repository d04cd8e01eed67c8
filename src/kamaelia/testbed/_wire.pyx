# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: auto_pickle=False, binding=False, always_allow_keywords=False, cdivision=True
"""The compiled form of `wire`, which says what all this does and why; the comments here say only what is
different.

Every sum of floats is made in the same order as there, and the compiler is told to leave it so (see setup.py):
both forms give the same times, on every machine.
"""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_DECREF, Py_XDECREF

from kamaelia.axon._core cimport Due, VirtualClock

import asyncio
import contextvars

from . import protocols as _protocols
from .addresses import parsed as _parsed
from .record import new_hash as _new_hash

cdef extern from *:
    ctypedef bint flag "unsigned char"
    int PyContext_Enter(PyObject*) except -1
    int PyContext_Exit(PyObject*) except -1
    PyObject* PyDict_GetItemWithError(object, object) except? NULL
    int PyDict_Next(object, Py_ssize_t*, PyObject**, PyObject**) noexcept
    object PyObject_CallFunctionObjArgs(object, PyObject*, PyObject*, PyObject*)
    void* PyMem_Malloc(size_t) noexcept
    void* PyMem_Realloc(void*, size_t) noexcept
    char* PyByteArray_AS_STRING(object) noexcept
    void* memcpy(void*, const void*, size_t) noexcept
    void PyMem_Free(void*) noexcept
    void PyObject_GC_UnTrack(PyObject*) noexcept
    ctypedef int (*visitproc)(PyObject*, void*) noexcept
    ctypedef int (*traverseproc)(PyObject*, visitproc, void*) noexcept
    ctypedef int (*inquiry)(PyObject*) noexcept
    ctypedef struct TypeWithSlots "PyTypeObject":
        traverseproc tp_traverse
        inquiry tp_clear

cdef int TCP = _protocols.TCP
cdef int UDP = _protocols.UDP
cdef int RESEND = _protocols.RESEND
cdef int SEND = _protocols.SEND
cdef int FORWARD = _protocols.FORWARD
cdef int DELIVER = _protocols.DELIVER
cdef int LOSE = _protocols.LOSE
cdef int DROP = _protocols.DROP
cdef int QUEUE_FULL = _protocols.QUEUE_FULL
cdef int LOST_AT_RANDOM = _protocols.LOST_AT_RANDOM
cdef long long NO_LIMIT = 2**62
cdef tuple REASONS = _protocols.REASONS
cdef dict NO_WAYS = {}
cdef enum:
    PIECE = 65536  # bytes that are put into the hash at once


cdef struct Row:
    long long time
    long long number
    PyObject* kind
    PyObject* source
    PyObject* target
    PyObject* where
    int size
    unsigned char what
    unsigned char why


cdef class Recorder:
    """See `record.PlainRecorder`. The rows are kept as they are in C, and made into tuples when asked for."""

    cdef VirtualClock clock
    cdef readonly long long keep
    cdef readonly long long count
    cdef Row* kept
    cdef long long room
    cdef dict texts
    cdef object hashing
    cdef bytearray piece
    cdef Py_ssize_t filled

    def __init__(self, VirtualClock clock, keep):
        self.clock = clock
        self.keep = keep
        self.texts = {}
        self.hashing = _new_hash()
        self.piece = bytearray(PIECE)

    def __dealloc__(self):
        cdef long long index
        for index in range(min(self.count, self.keep)):
            Py_DECREF(<object>self.kept[index].kind)
            Py_DECREF(<object>self.kept[index].source)
            Py_DECREF(<object>self.kept[index].target)
            Py_DECREF(<object>self.kept[index].where)
        PyMem_Free(self.kept)

    @property
    def rows(self):
        cdef long long index
        cdef Row* row
        rows = []
        for index in range(min(self.count, self.keep)):
            row = &self.kept[index]
            rows.append((
                row.time, row.what, row.number, <object>row.kind, <object>row.source, <object>row.target,
                row.size, <object>row.where, row.why,
            ))
        return rows

    def record(self, int what, Packet packet, where, int why):
        self.note(what, packet, where, why)

    def write(self, int what, long long number, kind, source, target, int size, where, int why):
        self.add(what, number, kind, source, target, size, where, why)

    cdef int note(self, int what, Packet packet, object where, int why) except -1:
        return self.add(
            what, packet.number, packet.kind, packet.name, packet.target_name, packet.size,
            "" if where is None else where.name, why,
        )

    cdef int add(
        self, int what, long long number, object kind, object source, object target, int size, object where,
        int why,
    ) except -1:
        cdef Row* row
        cdef char* piece
        cdef int[4] numbers
        cdef long long now = self.clock.now
        if self.count < self.keep:
            if self.count == self.room:
                self.grow()
            row = &self.kept[self.count]
            row.time, row.number, row.size, row.what, row.why = now, number, size, what, why
            row.kind, row.source = <PyObject*>kind, <PyObject*>source
            row.target, row.where = <PyObject*>target, <PyObject*>where
            Py_INCREF(kind)
            Py_INCREF(source)
            Py_INCREF(target)
            Py_INCREF(where)
        self.count += 1
        numbers[0] = self.number_of(kind)
        numbers[1] = self.number_of(source)
        numbers[2] = self.number_of(target)
        numbers[3] = self.number_of(where)
        if self.filled + 64 > PIECE:
            self.digest()
        piece = PyByteArray_AS_STRING(self.piece) + self.filled
        memcpy(piece, &now, 8)
        piece[8] = what
        memcpy(piece + 9, &number, 8)
        memcpy(piece + 17, numbers, 16)
        memcpy(piece + 33, &size, 4)
        piece[37] = why
        self.filled += 38
        return 0

    cdef int grow(self) except -1:
        cdef long long room = min(max(1024, 2 * self.room), self.keep)
        cdef Row* kept = <Row*>PyMem_Realloc(self.kept, room * sizeof(Row))
        if kept == NULL:
            raise MemoryError
        self.kept, self.room = kept, room
        return 0

    cdef int number_of(self, object text) except -1:
        cdef PyObject* number = PyDict_GetItemWithError(self.texts, text)
        if number != NULL:
            return <object>number
        self.digest()
        self.hashing.update(text.encode() + b"\0")
        self.texts[text] = len(self.texts)
        return len(self.texts) - 1

    cdef int digest(self) except -1:
        if self.filled:
            self.hashing.update(memoryview(self.piece)[:self.filled])
            self.filled = 0
        return 0

    def fingerprint(self):
        self.digest()
        return self.hashing.hexdigest()


cdef class Fabric:
    cdef readonly VirtualClock clock
    cdef public long long packets
    cdef public Recorder recorder
    cdef public long long version

    def __cinit__(self, VirtualClock clock):
        self.clock = clock


cdef class Packet(Due):
    cdef public long long number
    cdef public long long starts
    cdef public long long leaves
    cdef public long long arrives
    cdef public unsigned long long serial
    cdef public object source
    cdef public object target
    cdef public object port
    cdef public object name
    cdef public object target_name
    cdef public object data
    cdef public object flow
    cdef public object kind
    cdef public object place
    cdef public int size
    cdef public int ttl
    cdef public unsigned char protocol
    cdef public unsigned char tos
    cdef public flag waits
    cdef public flag tells
    cdef public flag lost
    cdef public flag spoiled

    @property
    def ecn(self):
        return self.tos & 3

    @ecn.setter
    def ecn(self, int ecn):
        self.tos = self.tos & 0xFC | ecn

    @property
    def enqueued(self):
        return self.starts

    @enqueued.setter
    def enqueued(self, long long now):
        self.starts = now

    def __cinit__(self):
        self.ttl = 64

    def copy(self):
        return self.copied()

    cdef Packet copied(self):
        cdef Packet other = Packet.__new__(Packet)
        other.number, other.size, other.ttl, other.protocol, other.tos = (
            self.number, self.size, self.ttl, self.protocol, self.tos
        )
        other.source, other.target, other.port = self.source, self.target, self.port
        other.name, other.target_name, other.data = self.name, self.target_name, self.data
        other.flow, other.kind, other.waits, other.tells, other.spoiled = (
            self.flow, self.kind, self.waits, self.tells, self.spoiled
        )
        if type(self.data) is bytes:
            PyObject_GC_UnTrack(<PyObject*>other)
        return other

    cdef int happen(self) except -1:
        if isinstance(self.place, Channel):
            (<Channel>self.place).arrive_here(self)
        else:
            (<Node>self.place).deliver_here(self)
        return 0

    def __repr__(self):
        return f"<packet {self.number} from {self.name} to {self.target_name}>"


cdef class Channel(Due):
    cdef readonly Fabric fabric
    cdef public Node far
    cdef public object tap
    cdef public double byte_time
    cdef public double loss
    cdef public double remainder
    cdef public unsigned long long loss_state
    cdef public unsigned long long loss_gamma
    cdef public long long delay
    cdef public long long most_packets
    cdef public long long most_bytes
    cdef public long long mtu
    cdef public long long free_at
    cdef public long long last_arrival
    cdef public long long arrival_pending
    cdef public long long waiting_bytes
    cdef public long long packets
    cdef public long long bytes
    cdef public long long delivered
    cdef public long long lost
    cdef public long long dropped
    cdef PyObject** ring  # `only` at first; later a block of a power of two
    cdef PyObject* only
    cdef int ring_room
    cdef int first
    cdef int count
    cdef public int waiting
    cdef public flag enters_specially
    cdef public flag leaves_specially

    def __cinit__(self, *args, **kwargs):
        self.most_packets = self.most_bytes = self.mtu = NO_LIMIT
        self.arrival_pending = -1
        self.ring = &self.only
        self.ring_room = 1

    def __init__(self, Fabric fabric):
        self.fabric = fabric

    def __dealloc__(self):
        channel_forget(self)

    @property
    def row(self):
        """The packets that have not arrived, in order."""
        return [<object>self.at(index) for index in range(self.count)]

    cdef inline PyObject* at(self, int index) noexcept:
        return self.ring[(self.first + index) & (self.ring_room - 1)]

    cdef int append(self, Packet packet) except -1:
        cdef PyObject** ring
        cdef int room, index
        if self.count == self.ring_room:
            room = max(4, 2 * self.ring_room)
            ring = <PyObject**>PyMem_Malloc(room * sizeof(PyObject*))
            if ring == NULL:
                raise MemoryError
            for index in range(self.count):
                ring[index] = self.at(index)
            if self.ring != &self.only:
                PyMem_Free(self.ring)
            self.ring, self.ring_room, self.first = ring, room, 0
        Py_INCREF(packet)
        self.ring[(self.first + self.count) & (self.ring_room - 1)] = <PyObject*>packet
        self.count += 1
        return 0

    cdef Packet popleft(self):
        cdef Packet packet = <Packet>self.ring[self.first]
        self.first = (self.first + 1) & (self.ring_room - 1)
        self.count -= 1
        Py_DECREF(packet)
        return packet

    # -- one packet ---------------------------------------------------------------------------------

    def carry(self, Packet packet):
        self.carry_on(packet)

    cdef int carry_on(self, Packet packet) except -1:
        self.packets += 1
        self.bytes += packet.size
        if self.enters_specially or packet.size > self.mtu:
            self.enter(packet)
            return 0
        return self.send_on(packet, self.fabric.clock.now)

    def send(self, Packet packet):
        self.send_on(packet, self.fabric.clock.now)

    cdef int send_on(self, Packet packet, long long now) except -1:
        cdef double exact
        cdef long long whole
        packet.starts = packet.leaves = now
        if self.byte_time != 0.0:
            exact = packet.size * self.byte_time
            if self.free_at > now:
                if self.waiting:
                    self.begin(now)
                if not packet.waits and (
                    self.waiting >= self.most_packets or self.waiting_bytes + packet.size > self.most_bytes
                ):
                    self.drop(packet, QUEUE_FULL)
                    return 0
                self.waiting += 1
                self.waiting_bytes += packet.size
                packet.starts = self.free_at
                exact += self.remainder
            whole = <long long>exact
            self.remainder = exact - whole
            packet.leaves = self.free_at = packet.starts + whole
        return self.depart_on(packet)

    def depart(self, Packet packet):
        self.depart_on(packet)

    cdef int depart_on(self, Packet packet) except -1:
        if self.tap is not None:
            if isinstance(self.tap, PacketBlocks):
                (<PacketBlocks>self.tap).out_here(self, packet)
            else:
                self.tap.out(self, packet)
        if self.leaves_specially:
            self.leave(packet)
        elif self.loss != 0.0 and self.draw_on() < self.loss:
            self.lose(packet, LOST_AT_RANDOM)
        else:
            self.launch_on(packet, packet.leaves + self.delay)
        return 0

    def launch(self, Packet packet, long long arrives):
        self.launch_on(packet, arrives)

    cdef int launch_on(self, Packet packet, long long arrives) except -1:
        cdef VirtualClock clock = self.fabric.clock
        if arrives < self.last_arrival:
            arrives = self.last_arrival
        packet.arrives = self.last_arrival = arrives
        packet.serial = clock.next_serial()
        self.append(packet)
        if self.arrival_pending < 0:
            self.arrival_pending = arrives
            clock.push_again(arrives, packet.serial, self)
        return 0

    def lose(self, Packet packet, int why):
        self.lost += 1
        if self.fabric.recorder is not None:
            self.fabric.recorder.note(LOSE, packet, self, why)
        if self.waiting:
            packet.lost = True
            packet.arrives = packet.leaves
            self.append(packet)
        if packet.tells:
            packet.data.lost(packet)

    def drop(self, Packet packet, int why):
        self.dropped += 1
        if self.tap is not None:
            self.tap.dropped(self, packet, why)
        if self.fabric.recorder is not None:
            self.fabric.recorder.note(DROP, packet, self, why)
        if packet.tells:
            packet.data.lost(packet)

    def draw(self):
        return self.draw_on()

    cdef double draw_on(self) noexcept:
        cdef unsigned long long state
        self.loss_state += self.loss_gamma
        state = self.loss_state
        state = (state ^ (state >> 30)) * <unsigned long long>0xBF58476D1CE4E5B9
        state = (state ^ (state >> 27)) * <unsigned long long>0x94D049BB133111EB
        return ((state ^ (state >> 31)) >> 11) * (1.0 / 9007199254740992.0)

    # -- the row ------------------------------------------------------------------------------------

    def begin_those_due(self, long long now):
        self.begin(now)

    cdef int begin(self, long long now) except -1:
        cdef Packet packet
        while self.waiting:
            packet = <Packet>self.at(self.count - self.waiting)
            if packet.starts > now:
                break
            self.waiting_bytes -= packet.size
            self.waiting -= 1
        while self.count > self.waiting and (<Packet>self.at(0)).lost:
            self.popleft()
        return 0

    cdef int happen(self) except -1:
        cdef long long now = self.fabric.clock.now
        cdef Packet packet
        if now != self.arrival_pending:
            return 0
        if self.waiting:
            self.begin(now)
        packet = self.popleft()
        while packet.lost:
            packet = self.popleft()
        if self.count:
            self.await_next()
        else:
            self.arrival_pending = -1
        return self.arrive_here(packet)

    def expect_next(self):
        self.await_next()

    cdef int await_next(self) except -1:
        cdef int index
        cdef Packet packet
        for index in range(self.count):
            packet = <Packet>self.at(index)
            if not packet.lost:
                self.arrival_pending = packet.arrives
                return self.fabric.clock.push_again(packet.arrives, packet.serial, self)
        self.arrival_pending = -1
        return 0

    def arrive(self, Packet packet):
        self.arrive_here(packet)

    cdef int arrive_here(self, Packet packet) except -1:
        self.delivered += 1
        if self.tap is not None:
            if isinstance(self.tap, PacketBlocks):
                (<PacketBlocks>self.tap).into_here(self, packet)
            else:
                self.tap.into(self, packet)
        return self.far.receive_here(packet, self)


cdef void channel_forget(Channel channel) noexcept:
    while channel.count:
        channel.count -= 1
        Py_DECREF(<object>channel.ring[(channel.first + channel.count) & (channel.ring_room - 1)])
    if channel.ring != &channel.only:
        PyMem_Free(channel.ring)
        channel.ring, channel.ring_room = &channel.only, 1


cdef traverseproc channel_traverse_fields
cdef inquiry channel_clear_fields


cdef int channel_traverse(PyObject* self, visitproc visit, void* arg) noexcept:
    cdef Channel channel = <Channel>self
    cdef int index, stop
    for index in range(channel.count):
        stop = visit(channel.at(index), arg)
        if stop:
            return stop
    return channel_traverse_fields(self, visit, arg)


cdef int channel_clear(PyObject* self) noexcept:
    channel_forget(<Channel>self)
    return channel_clear_fields(self)


cdef class Node:
    cdef readonly Fabric fabric
    cdef public object loop
    cdef public DatagramSocket member
    cdef public str group
    cdef public dict table
    cdef public object udp
    cdef public dict connections
    cdef object last_source  # of a segment, its port, and what takes those
    cdef object last_port
    cdef object last_take
    cdef public long long sent
    cdef public long long received
    cdef public long long bytes_sent
    cdef public long long bytes_received
    cdef object home  # the text of an address that was found to be its own
    cdef public flag forwards
    cdef public flag special

    def __init__(self, Fabric fabric):
        self.fabric = fabric
        self.table = NO_WAYS
        self.group = ""

    def receive(self, Packet packet, Channel channel):
        self.receive_here(packet, channel)

    cdef int receive_here(self, Packet packet, Channel channel) except -1:
        cdef PyObject* way
        # With thousands of hosts each look into a table waits for memory; most packets come with the same text.
        if packet.target is self.home and not self.special:
            return self.deliver_here(packet)
        way = NULL if self.special else PyDict_GetItemWithError(self.table, packet.target)
        if way == <PyObject*>self:
            self.home = packet.target
            return self.deliver_here(packet)
        if way == NULL and self.member is not None and not self.special:
            return self.hear(packet, channel, self.member)
        if way == NULL or not self.forwards or packet.ttl <= 1:
            self.take(packet, channel)
            return 0
        if type(<object>way) is dict:
            return self.spread(packet, channel, <dict>way)
        packet.ttl -= 1
        if self.fabric.recorder is not None:
            self.fabric.recorder.note(FORWARD, packet, self, 0)
        return (<Channel>way).carry_on(packet)

    cdef int hear(self, Packet packet, Channel channel, DatagramSocket socket) except -1:
        if (
            packet.target != self.group
            or packet.port != socket.port
            or packet.protocol != UDP
            or packet.spoiled
        ):
            self.take(packet, channel)
            return 0
        self.received += 1
        self.bytes_received += packet.size
        if self.fabric.recorder is not None:
            self.fabric.recorder.note(DELIVER, packet, self, 0)
        return socket.take_here(packet.data, packet.source)

    cdef int spread(self, Packet packet, Channel channel, dict hops) except -1:
        cdef PyObject* found = PyDict_GetItemWithError(hops, packet.flow)
        cdef Py_ssize_t at = 0
        cdef PyObject* out
        cdef Hop hop
        if found == NULL or (<Hop>found).came is not channel or packet.protocol != UDP:
            self.take(packet, channel)
            return 0
        hop = <Hop>found
        if not hop.outs:
            return 0
        if self.fabric.recorder is not None:
            self.fabric.recorder.note(FORWARD, packet, self, 0)
        packet.ttl -= 1
        while PyDict_Next(hop.outs, &at, &out, NULL):
            (<Channel>out).carry_on(packet.copied())
        return 0

    def arrive(self, Packet packet):
        self.deliver_here(packet)

    def deliver(self, Packet packet):
        self.deliver_here(packet)

    cdef int deliver_here(self, Packet packet) except -1:
        cdef PyObject* socket
        cdef PyObject* end
        cdef PyObject* take
        cdef DatagramSocket only
        self.received += 1
        self.bytes_received += packet.size
        if self.fabric.recorder is not None:
            self.fabric.recorder.note(DELIVER, packet, None, 0)
        if packet.protocol == TCP and self.connections is not None and not packet.spoiled:
            # Most hosts hear from one socket at a time, and all its packets have the same tuple for it.
            if packet.source is self.last_source and packet.port == self.last_port:
                take = <PyObject*>self.last_take
            else:
                take = NULL
                end = PyDict_GetItemWithError(self.connections, (packet.port, packet.target, packet.source))
                if end != NULL:
                    self.last_source, self.last_port = packet.source, packet.port
                    self.last_take = (<object>end).take
                    take = <PyObject*>self.last_take
            if take != NULL:
                (<object>take)(packet.data, packet.tos & 3, self.fabric.clock.now)
                return 0
        if packet.protocol == UDP and not packet.spoiled:
            if isinstance(self.udp, DatagramSocket):
                only = <DatagramSocket>self.udp
                if only.port == packet.port:
                    return only.take_here(packet.data, packet.source)
                self.take_delivered(packet)
                return 0
            socket = NULL if self.udp is None else PyDict_GetItemWithError(self.udp, packet.port)
            if socket != NULL and isinstance(<object>socket, DatagramSocket):
                return (<DatagramSocket>socket).take_here(packet.data, packet.source)
        self.take_delivered(packet)
        return 0

    def call(self, context, function):
        self.fabric.clock.enter(self.loop)
        PyContext_Enter(<PyObject*>context)
        try:
            PyObject_CallFunctionObjArgs(function, NULL, NULL, NULL)
        finally:
            PyContext_Exit(<PyObject*>context)

    def forget_last(self):
        self.last_source = self.last_port = self.last_take = None

    def send_like(self, Packet template, kind, int size, data, int ecn, bint again):
        cdef Packet packet = template.copied()
        cdef Fabric fabric = self.fabric
        cdef PyObject* way
        packet.kind, packet.size, packet.data = kind, size, data
        packet.tos |= ecn
        fabric.packets += 1
        packet.number = fabric.packets
        self.sent += 1
        self.bytes_sent += size
        if fabric.recorder is not None:
            fabric.recorder.note(RESEND if again else SEND, packet, None, 0)
        way = PyDict_GetItemWithError(self.table, packet.target)
        if way == NULL or way == <PyObject*>self:
            self.emit(packet)
        else:
            (<Channel>way).carry_on(packet)

    def count_sent(self, Packet packet):
        self.count(packet)

    cdef int count(self, Packet packet) except -1:
        cdef Fabric fabric = self.fabric
        fabric.packets += 1
        packet.number = fabric.packets
        self.sent += 1
        self.bytes_sent += packet.size
        if fabric.recorder is not None:
            fabric.recorder.note(SEND, packet, None, 0)
        return 0


cdef class Hop:
    cdef public Channel came
    cdef public dict outs
    cdef public object above

    def __init__(self, Channel came):
        self.came = came
        self.outs = {}


cdef class Way:
    cdef public Channel channel
    cdef public object name
    cdef public object port
    cdef public object source
    cdef public object target
    cdef public Py_ssize_t longest
    cdef public long long version
    cdef public int headers
    cdef public int ttl
    cdef public unsigned char tos


cdef class DatagramSocket:
    cdef public Node node
    cdef public object name
    cdef public object port
    cdef public object context
    cdef public object received
    cdef public dict ways
    cdef object last_ways
    cdef object last_address
    cdef Way last_way
    cdef public flag reading
    cdef public flag closing

    def __init__(self, Node node):
        self.node = node
        self.name = ""
        self.context = contextvars.copy_context()
        self.ways = NO_WAYS

    def sendto(self, data, addr=None):
        cdef Node node = self.node
        cdef Way way = self.last_way
        cdef Packet packet
        # Most send to one address only, and that is found without a look into the table.
        if addr is not self.last_address or self.ways is not self.last_ways:
            way = self.find_again(addr)
        elif way.version != node.fabric.version:
            way = self.find_again(addr)
        if way is None or self.closing or type(data) is not bytes or len(<bytes>data) > way.longest:
            self.send_carefully(data, addr)
            return
        packet = Packet.__new__(Packet)
        packet.protocol = UDP
        packet.kind = "udp"
        packet.size = way.headers + len(<bytes>data)
        packet.source = way.source
        packet.target = way.target
        packet.port = way.port
        packet.name = self.name
        packet.target_name = way.name
        packet.data = data
        packet.ttl = way.ttl
        packet.tos = way.tos
        node.count(packet)
        if way.channel is not None:
            PyObject_GC_UnTrack(<PyObject*>packet)  # bytes under way are in no cycle, and there may be many
            way.channel.carry_on(packet)
        else:
            packet.place = node
            node.fabric.clock.push(node.fabric.clock.now, packet)

    cdef Way find_again(self, object addr):
        """Return the way to an address if it is known, and keep it; None if it is not, or not any more."""
        cdef PyObject* found = PyDict_GetItemWithError(self.ways, addr)
        if found == NULL or (<Way>found).version != self.node.fabric.version:
            return None
        self.last_ways, self.last_address, self.last_way = self.ways, addr, <Way>found
        return <Way>found

    def take(self, data, source):
        self.take_here(data, source)

    cdef int take_here(self, object data, object source) except -1:
        cdef PyObject* context = <PyObject*>self.context
        if not self.reading or (self.node.fabric.clock.frozen and self.node.loop.is_frozen):
            self.take_later(data, source)
            return 0
        self.node.fabric.clock.enter(self.node.loop)
        try:
            PyContext_Enter(context)
            try:
                PyObject_CallFunctionObjArgs(self.received, <PyObject*>data, <PyObject*>source, NULL)
            finally:
                PyContext_Exit(context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.report(error)
        return 0


include "_capture.pxi"


# What Cython has no word for: the garbage collector is to see the rows of channels.
channel_traverse_fields = (<TypeWithSlots*>Channel).tp_traverse
channel_clear_fields = (<TypeWithSlots*>Channel).tp_clear
(<TypeWithSlots*>Channel).tp_traverse = channel_traverse
(<TypeWithSlots*>Channel).tp_clear = channel_clear
