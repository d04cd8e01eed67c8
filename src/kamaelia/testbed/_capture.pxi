# The compiled form of `capture.PlainBlocks`, part of `_wire`.

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    /* The sum of the 16-bit words of some data, as RFC 1071 has it: in any order of bytes, swapped at the end.
       Words of 32 bits are added first, which compilers make quick. */
    static unsigned kamaelia_word_sum(const char *data, Py_ssize_t length)
    {
        uint64_t total = 0;
        uint32_t word;
        uint16_t folded;
        Py_ssize_t at, whole = length & ~(Py_ssize_t)3;
        for (at = 0; at < whole; at += 4) {
            memcpy(&word, data + at, 4);
            total += word;
        }
        if (length & 3) {
            word = 0;
            memcpy(&word, data + whole, length & 3);
            total += word;
        }
        while (total >> 16)
            total = (total & 0xFFFF) + (total >> 16);
        folded = (uint16_t)total;
    #if PY_LITTLE_ENDIAN
        folded = (uint16_t)(folded << 8 | folded >> 8);
    #endif
        return folded;
    }

    static void kamaelia_put16(char *to, unsigned value)
    {
        to[0] = (char)(value >> 8);
        to[1] = (char)value;
    }

    static void kamaelia_put32(char *to, uint32_t value)
    {
        to[0] = (char)value;
        to[1] = (char)(value >> 8);
        to[2] = (char)(value >> 16);
        to[3] = (char)(value >> 24);
    }
    """
    unsigned kamaelia_word_sum(const char*, Py_ssize_t) noexcept
    void kamaelia_put16(char*, unsigned) noexcept
    void kamaelia_put32(char*, unsigned) noexcept
    void* memset(void*, int, size_t) noexcept
    const char* PyBytes_AS_STRING(object) noexcept
    object PyBytes_FromStringAndSize(const char*, Py_ssize_t)
    PyObject* PyTuple_GET_ITEM(object, Py_ssize_t) noexcept

cdef enum:
    OUTBOUND = 2
    INBOUND = 1
    HEADERS = 28  # bytes of those of IPv4 and UDP
    AT_ONCE = 262144  # bytes that are handed to the file together
    LATELY = 1024  # addresses that are found by where they are in memory


cdef struct Block:
    long long time
    unsigned long long serial
    char* place
    Py_ssize_t length


cdef struct Lately:
    PyObject* address  # ours; NULL for none yet
    PyObject* known  # the table's


@cython.final
cdef class Known:
    """What is known of an IPv4 address."""

    cdef char[4] packed
    cdef unsigned total


cdef class PacketBlocks:
    cdef public dict numbers
    cdef public object bytes_of
    cdef VirtualClock clock
    cdef object writer
    cdef dict addresses
    cdef Lately[LATELY] lately  # of these: most packets come with the very same objects
    cdef object summed  # the last datagram, and its sum
    cdef unsigned total
    cdef Block* heap
    cdef Py_ssize_t count
    cdef Py_ssize_t room
    cdef unsigned long long serial
    cdef char* buffer
    cdef Py_ssize_t filled
    cdef long long epoch
    cdef long long last  # time of what was written last
    cdef long long* counts  # of packets, by interface
    cdef int interfaces
    cdef Py_ssize_t snaplen

    def begin(self, VirtualClock clock, writer):
        self.clock, self.writer = clock, writer
        self.numbers, self.addresses = {}, {}
        self.epoch, self.snaplen = writer.epoch_ns, writer.snaplen
        self.buffer = <char*>PyMem_Malloc(AT_ONCE + HEADERS)  # which are put even where few bytes are kept
        if self.buffer == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef Py_ssize_t index
        for index in range(self.count):
            PyMem_Free(self.heap[index].place)
        for index in range(LATELY):
            Py_XDECREF(self.lately[index].address)
        PyMem_Free(self.heap)
        PyMem_Free(self.buffer)
        PyMem_Free(self.counts)

    # -- what channels tell -------------------------------------------------------------------------

    def out(self, Channel channel, Packet packet):
        self.out_here(channel, packet)

    def into(self, Channel channel, Packet packet):
        self.into_here(channel, packet)

    def dropped(self, Channel channel, Packet packet, int why):
        cdef PyObject* numbers = PyDict_GetItemWithError(self.numbers, channel)
        cdef int number = -1 if numbers == NULL else <int><object>PyTuple_GET_ITEM(<object>numbers, 0)
        if number >= 0:
            self.flush_until(self.clock.now)
            self.write(packet, number, OUTBOUND, b"dropped: " + (REASONS[why] or "dropped").encode())
            self.writer.count_drop(number)

    cdef int out_here(self, Channel channel, Packet packet) except -1:
        cdef PyObject* numbers = PyDict_GetItemWithError(self.numbers, channel)
        cdef int number = -1 if numbers == NULL else <int><object>PyTuple_GET_ITEM(<object>numbers, 0)
        cdef Block block
        if number < 0:
            return 0
        self.flush_until(self.clock.now)
        if packet.leaves <= self.clock.now:
            return self.write(packet, number, OUTBOUND, None)
        self.serial += 1
        block.time, block.serial = packet.leaves, self.serial
        self.make(&block, packet, number, OUTBOUND, None, False)
        return self.push(block)

    cdef int into_here(self, Channel channel, Packet packet) except -1:
        cdef PyObject* numbers = PyDict_GetItemWithError(self.numbers, channel)
        cdef int number = -1 if numbers == NULL else <int><object>PyTuple_GET_ITEM(<object>numbers, 1)
        if number < 0:
            return 0
        self.flush_until(self.clock.now)
        return self.write(packet, number, INBOUND, b"corrupted on the way" if packet.spoiled else None)

    # -- blocks -------------------------------------------------------------------------------------

    cdef int write(self, Packet packet, int number, int direction, object comment) except -1:
        """Put a block for this instant into the buffer."""
        cdef Block block
        block.time = self.clock.now
        return self.make(&block, packet, number, direction, comment, True)

    cdef int put(self, Block* block) except -1:
        """Put a block into the buffer, and forget it."""
        if self.filled + block.length > AT_ONCE:
            self.hand_over()
        memcpy(self.buffer + self.filled, block.place, block.length)
        self.filled += block.length
        self.last = block.time
        PyMem_Free(block.place)
        return 0

    cdef int hand_over(self) except -1:
        if self.filled:
            self.writer.write_blocks(PyBytes_FromStringAndSize(self.buffer, self.filled), self.last)
            self.filled = 0
        return 0

    cdef int make(
        self, Block* block, Packet packet, int number, int direction, object comment, bint at_once
    ) except -1:
        """Make an enhanced packet block, in the buffer or for later."""
        cdef object data = None
        cdef Py_ssize_t whole, kept, padding, options = 12, noted = 0
        cdef long long stamp = block.time + self.epoch
        cdef Known source = None, target = None
        cdef char* to
        if packet.protocol == UDP and not packet.spoiled and type(packet.data) is bytes:
            source = self.known(<object>PyTuple_GET_ITEM(packet.source, 0))
            target = self.known(packet.target)
        if source is not None and target is not None and len(<bytes>packet.data) <= 65535 - HEADERS:
            whole = HEADERS + len(<bytes>packet.data)
        else:
            source = None
            data = self.bytes_of(packet)
            whole = len(<bytes>data)
        kept = min(whole, self.snaplen)
        padding = -kept & 3
        if comment is not None:
            noted = len(<bytes>comment)
            options += 4 + noted + (-noted & 3)
        block.length = 32 + kept + padding + options
        if at_once:
            if self.filled + block.length > AT_ONCE:
                self.hand_over()
            block.place = self.buffer + self.filled
            self.filled += block.length
            self.last = block.time
        else:
            block.place = <char*>PyMem_Malloc(block.length + HEADERS)
            if block.place == NULL:
                raise MemoryError
        self.count_packet(number)
        to = block.place
        kamaelia_put32(to, 6)
        kamaelia_put32(to + 4, block.length)
        kamaelia_put32(to + 8, number)
        kamaelia_put32(to + 12, <unsigned long long>stamp >> 32)
        kamaelia_put32(to + 16, stamp & 0xFFFFFFFF)
        kamaelia_put32(to + 20, kept)
        kamaelia_put32(to + 24, whole)
        to += 28
        if source is not None:
            self.put_headers(to, packet, source, target)
            if kept > HEADERS:
                memcpy(to + HEADERS, PyBytes_AS_STRING(packet.data), kept - HEADERS)
        else:
            memcpy(to, PyBytes_AS_STRING(data), kept)
        to += kept
        memset(to, 0, padding + options)
        to += padding
        to[0], to[2], to[4] = 2, 4, direction
        to += 8
        if comment is not None:
            to[0], to[2], to[3] = 1, noted & 0xFF, noted >> 8
            memcpy(to + 4, PyBytes_AS_STRING(comment), noted)
        kamaelia_put32(block.place + block.length - 4, block.length)
        return 0

    cdef int count_packet(self, int number) except -1:
        cdef long long* counts
        if number >= self.interfaces:
            counts = <long long*>PyMem_Realloc(self.counts, 2 * (number + 1) * sizeof(long long))
            if counts == NULL:
                raise MemoryError
            memset(counts + self.interfaces, 0, (2 * (number + 1) - self.interfaces) * sizeof(long long))
            self.counts, self.interfaces = counts, 2 * (number + 1)
        self.counts[number] += 1
        return 0

    cdef int put_headers(self, char* to, Packet packet, Known source, Known target) except -1:
        """Put the headers of IPv4 and UDP; see `captures.headers`."""
        cdef unsigned length = 8 + len(<bytes>packet.data)
        cdef unsigned near = <object>PyTuple_GET_ITEM(packet.source, 1), far = packet.port
        cdef unsigned hops = max(1, packet.ttl)
        cdef unsigned number = packet.number & 0xFFFF
        cdef unsigned addresses = source.total + target.total
        cdef unsigned total = addresses + UDP + near + far + 2 * length + self.sum_of(packet.data)
        total = (65535 - total % 65535) % 65535
        kamaelia_put16(to + 20, near)
        kamaelia_put16(to + 22, far)
        kamaelia_put16(to + 24, length)
        kamaelia_put16(to + 26, total if total else 65535)
        length += 20
        total = addresses + 0x4500 + packet.tos + length + number + 0x4000 + (hops << 8) + UDP
        kamaelia_put16(to, 0x4500 | packet.tos)
        kamaelia_put16(to + 2, length)
        kamaelia_put16(to + 4, number)
        kamaelia_put16(to + 6, 0x4000)
        kamaelia_put16(to + 8, hops << 8 | UDP)
        kamaelia_put16(to + 10, (65535 - total % 65535) % 65535)
        memcpy(to + 12, source.packed, 4)
        memcpy(to + 16, target.packed, 4)
        return 0

    cdef unsigned sum_of(self, object data) except? 1:
        if data is not self.summed:
            self.total = kamaelia_word_sum(PyBytes_AS_STRING(data), len(<bytes>data))
            self.summed = data
        return self.total

    cdef Known known(self, object address):
        cdef Lately* lately = &self.lately[(<size_t><PyObject*>address >> 4) % LATELY]
        cdef PyObject* found
        if lately.address == <PyObject*>address:
            return <Known>lately.known
        found = PyDict_GetItemWithError(self.addresses, address)
        if found == NULL:
            self.addresses[address] = self.look_at(address)
            found = PyDict_GetItemWithError(self.addresses, address)
        Py_INCREF(address)
        Py_XDECREF(lately.address)
        lately.address, lately.known = <PyObject*>address, found
        return <Known>found

    cdef Known look_at(self, object address):
        """Return what is known of an address from now on; None of one of IPv6."""
        cdef Known known = None
        packed = _parsed(address).packed
        if len(packed) == 4:
            known = Known.__new__(Known)
            memcpy(known.packed, PyBytes_AS_STRING(packed), 4)
            known.total = kamaelia_word_sum(PyBytes_AS_STRING(packed), 4)
        return known

    # -- order --------------------------------------------------------------------------------------

    cdef int push(self, Block block) except -1:
        cdef Py_ssize_t at, above
        cdef Block* heap
        if self.count == self.room:
            heap = <Block*>PyMem_Realloc(self.heap, max(64, 2 * self.room) * sizeof(Block))
            if heap == NULL:
                raise MemoryError
            self.heap, self.room = heap, max(64, 2 * self.room)
        at = self.count
        self.count += 1
        while at:
            above = (at - 1) >> 1
            if not is_before(&block, &self.heap[above]):
                break
            self.heap[at] = self.heap[above]
            at = above
        self.heap[at] = block
        return 0

    cdef int flush_until(self, long long now) except -1:
        """Write what has left by now."""
        cdef Block block, last
        cdef Py_ssize_t at, below
        while self.count and self.heap[0].time <= now:
            block = self.heap[0]
            self.count -= 1
            last = self.heap[self.count]
            at, below = 0, 1
            while below < self.count:
                if below + 1 < self.count and is_before(&self.heap[below + 1], &self.heap[below]):
                    below += 1
                if not is_before(&self.heap[below], &last):
                    break
                self.heap[at] = self.heap[below]
                at = below
                below = 2 * at + 1
            self.heap[at] = last
            self.put(&block)
        return 0

    def end(self):
        cdef int number
        self.flush_until(NO_LIMIT)
        self.hand_over()
        for number in range(self.interfaces):
            if self.counts[number]:
                self.writer.count_packets(number, self.counts[number])


cdef inline bint is_before(Block* one, Block* other) noexcept:
    return one.time < other.time or (one.time == other.time and one.serial < other.serial)
