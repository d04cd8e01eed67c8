# What other extensions need to know of the compiled core: `kamaelia.testbed._wire` derives from these.
from cpython.object cimport PyObject


cdef struct Entry:
    long long when
    unsigned long long serial
    PyObject* happening


cdef class Due:
    cdef public object _loop
    cdef public bint _cancelled
    cdef int happen(self) except -1


cdef class VirtualClock:
    cdef readonly long long now
    cdef Entry* heap
    cdef Py_ssize_t timers
    cdef Py_ssize_t heap_room
    cdef PyObject** ring
    cdef Py_ssize_t ring_room
    cdef Py_ssize_t first
    cdef Py_ssize_t count
    cdef unsigned long long serial
    cdef Py_ssize_t cancelled_timers
    cdef object running  # the loop, while one of its callbacks is called
    cdef bint halted
    cdef readonly bint is_at_limit
    cdef public long long limit
    cdef Py_ssize_t turns_here
    cdef public bint hears_threads
    cdef public Py_ssize_t frozen
    cdef int ready(self, object happening) except -1
    cdef int push(self, long long when, object happening) except -1
    cdef int push_again(self, long long when, unsigned long long serial, object happening) except -1
    cdef unsigned long long next_serial(self) noexcept
    cdef bint is_put_aside(self, object happening) except -1
    cdef int enter(self, object loop) except -1
    cdef object pop(self)
    cdef bint has_time(self) except -1
    cdef bint stay(self) noexcept
    cdef int collect_due(self) except -1
    cdef int go_on(self) except -1
    cdef int leave(self, object before) except -1
    cdef bint anything_due(self) except -1
    cdef int run_batch(self) except -1
