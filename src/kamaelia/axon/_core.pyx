# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: auto_pickle=False, binding=False, always_allow_keywords=False
"""The compiled form of the core: see `core` for what that is, and the plain form for what it does.

Every class here does what its plain twin does, step for step; the comments say only what is different, and
why. Where the plain form says it in Python that is not on the path of a message, this one calls the same
Python (`compiled` puts the two together).

Theory
------
**No exception on the way of a message.** What ``await`` costs is raising `StopIteration` to hand a value out
of an awaitable. Up to 3.11 the interpreter calls the slot ``am_send``, which returns a value as it is. From
3.12 on it calls ``tp_iternext``, where returning NULL with nothing raised means None; any other value is put
into one `StopIteration`, which is used again and again. Cython has no word for the first and would raise
in the second, so both slots are written into the types by hand, at the end of this module.

**Nothing allocated on the way of a message.** What `receive` and `send` return belongs to the box and is
there already. A component that waits stands in a line itself: its process has the links of the list in it.
Only who waits otherwise (a task of asyncio's, a `select`, a callback) needs a `_Place`.

**Who runs.** The scheduler steps processes: it enters the context, makes the component the current task by
writing into asyncio's table, sends None into the coroutine, and looks at what comes out.

**A script beside the loop.** A box call from the thread of a script that can be met at once is not handed
over to the loop's thread. It needs no lock but the interpreter's own: between the look whether it can be met
and its end no code of Python's runs, no object is made or freed, and so no other thread either. The one call
that it may owe, to have the loop step whom it has woken, comes after that.

**Memory.** The messages are a ring of pointers that begins as one slot in the queue itself. The garbage
collector cannot see into it, nor into the lines, unless told: ``traverse`` and ``clear`` of a queue and
a scheduler are written by hand, around those that Cython makes.
"""

cimport cython
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF, Py_DECREF, Py_XDECREF

import asyncio
import collections
import inspect
from functools import partial as _partial
from types import FunctionType, MethodType
from typing import Any
from asyncio import tasks as _asyncio_tasks

from .errors import Cancelled, ClosedBox
from . import body as _body
from . import queue as _queue
from .clock import MOST_TURNS as _MOST_TURNS
from .clock import NEVER as _NEVER
from .clock import describe_handle as _describe_handle
from .clock import nothing_left as _nothing_left
from .clock import report_failure as _report_failure
from . import here as _here
from .inbox import TimedTake as _TimedTake
from .inbox import describe_take as _describe_take
from .inbox import no_message_yet as _no_message_yet
from .link import PAST_LIMIT as _PAST_LIMIT
from . import process as _process
from .scheduler import SLICE as _SLICE
from .scheduler import make_current as _make_current
from .scheduler import make_current_by_table as _make_current_by_table

cdef extern from *:
    """
    #include <math.h>
    #include <pythread.h>

    /* Private, but exported by every interpreter that this is built for. */
    #if PY_VERSION_HEX >= 0x030D0000 && PY_VERSION_HEX < 0x030E0000
    PyAPI_FUNC(int) _PyDict_SetItem_KnownHash(PyObject *, PyObject *, PyObject *, Py_hash_t);
    PyAPI_FUNC(PyObject *) _PyDict_GetItem_KnownHash(PyObject *, PyObject *, Py_hash_t);
    #endif

    static int kamaelia_set_current(PyObject *table, PyObject *loop, PyObject *task, Py_hash_t hash) {
    #if PY_VERSION_HEX < 0x030E0000
        return _PyDict_SetItem_KnownHash(table, loop, task, hash);
    #else
        return PyDict_SetItem(table, loop, task);
    #endif
    }

    static PyObject *kamaelia_current(PyObject *table, PyObject *loop, Py_hash_t hash) {
    #if PY_VERSION_HEX < 0x030E0000
        return _PyDict_GetItem_KnownHash(table, loop, hash);
    #else
        return PyDict_GetItem(table, loop);
    #endif
    }

    #if PY_VERSION_HEX < 0x030C0000
    typedef struct {
        PyObject_HEAD
        PyObject *loop;
    } KamaeliaHolder;

    static PyObject *kamaelia_holder_name = NULL;

    /* Put a loop where asyncio keeps the one that is running. Returns 0 if there is no such place yet. */
    static int kamaelia_hold(PyObject *loop) {
        PyObject *dict = PyThreadState_GetDict();
        PyObject *holder = dict == NULL ? NULL : PyDict_GetItemWithError(dict, kamaelia_holder_name);
        PyObject *before;
        if (holder == NULL || ((KamaeliaHolder *)holder)->loop == Py_None)
            return 0;
        before = ((KamaeliaHolder *)holder)->loop;
        Py_INCREF(loop);
        ((KamaeliaHolder *)holder)->loop = loop;
        Py_DECREF(before);
        return 1;
    }

    static int kamaelia_holder_works(PyObject *set_loop, PyObject *get_loop) {
        PyObject *before = PyObject_CallNoArgs(get_loop);
        PyObject *probe = PyList_New(0);
        PyObject *other = PyList_New(0);
        PyObject *holder, *found;
        int works = 0;
        kamaelia_holder_name = PyUnicode_InternFromString("__asyncio_running_event_loop__");
        Py_XDECREF(PyObject_CallOneArg(set_loop, probe));
        holder = PyDict_GetItemWithError(PyThreadState_GetDict(), kamaelia_holder_name);
        if (holder != NULL && strcmp(Py_TYPE(holder)->tp_name, "_RunningLoopHolder") == 0
                && ((KamaeliaHolder *)holder)->loop == probe && kamaelia_hold(other)) {
            found = PyObject_CallNoArgs(get_loop);
            works = found == other;
            Py_XDECREF(found);
        }
        Py_XDECREF(PyObject_CallOneArg(set_loop, before));
        Py_DECREF(before);
        Py_DECREF(probe);
        Py_DECREF(other);
        return works;
    }
    #else
    #define kamaelia_hold(loop) 0
    #define kamaelia_holder_works(set_loop, get_loop) 0
    #endif

    /* Whatever has been raised, with its traceback; NULL if nothing has. */
    static PyObject *kamaelia_take_raised(void) {
    #if PY_VERSION_HEX >= 0x030C0000
        return PyErr_GetRaisedException();
    #else
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        if (type == NULL)
            return NULL;
        PyErr_NormalizeException(&type, &value, &traceback);
        if (traceback != NULL)
            PyException_SetTraceback(value, traceback);
        Py_XDECREF(type);
        Py_XDECREF(traceback);
        return value;
    #endif
    }

    /* Return a value from tp_iternext. The one StopIteration is used again as long as nobody else has it. */
    #if PY_VERSION_HEX >= 0x030C0000
    static PyObject *kamaelia_stop = NULL;
    #endif

    static PyObject *kamaelia_stop_with(PyObject *value) {
        if (value == Py_None) {
            Py_DECREF(value);
            return NULL;
        }
    #if PY_VERSION_HEX >= 0x030C0000
        if (kamaelia_stop == NULL || Py_REFCNT(kamaelia_stop) != 1) {
            Py_XDECREF(kamaelia_stop);
            kamaelia_stop = PyObject_CallNoArgs(PyExc_StopIteration);
            if (kamaelia_stop == NULL) {
                Py_DECREF(value);
                return NULL;
            }
        }
        Py_XSETREF(((PyStopIterationObject *)kamaelia_stop)->value, value);
        Py_INCREF(kamaelia_stop);
        PyErr_SetRaisedException(kamaelia_stop);
    #else
        PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, value);
        Py_DECREF(value);
        if (stop != NULL) {
            PyErr_SetObject(PyExc_StopIteration, stop);
            Py_DECREF(stop);
        }
    #endif
        return NULL;
    }

    /* The last message received dies when its receiver lets go of it, at the latest at the end of the step. */
    static inline void kamaelia_forget_stop(void) {
    #if PY_VERSION_HEX >= 0x030C0000
        if (kamaelia_stop != NULL && Py_REFCNT(kamaelia_stop) == 1) {
            PyStopIterationObject *stop = (PyStopIterationObject *)kamaelia_stop;
            if (stop->value != NULL && stop->value != Py_None)
                Py_SETREF(stop->value, Py_NewRef(Py_None));
            if (stop->traceback != NULL)
                Py_CLEAR(stop->traceback);
            if (stop->context != NULL)
                Py_CLEAR(stop->context);
        }
    #endif
    }

    static void kamaelia_set_send(PyTypeObject *type, sendfunc send, iternextfunc next) {
        type->tp_as_async->am_send = send;
        type->tp_iternext = next;
        PyType_Modified(type);
    }
    """
    ctypedef bint flag "unsigned char"  # a truth value in one byte
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    ctypedef PySendResult (*sendfunc)(PyObject*, PyObject*, PyObject**) noexcept
    ctypedef PyObject* (*iternextfunc)(PyObject*) noexcept
    PySendResult PyIter_Send(PyObject*, PyObject*, PyObject**) noexcept
    int PyObject_GenericSetAttr(object, object, object) except -1
    int PyContext_Enter(PyObject*) except -1
    int PyContext_Exit(PyObject*) except -1
    object PyContext_Copy(object)
    object PyContext_CopyCurrent()
    object PyContextVar_Set(object, object)
    int PyContextVar_Get(object, PyObject*, PyObject**) except -1
    object PyObject_Call(object, object, PyObject*)
    int PyDict_DelItem(object, object) except -1
    unsigned long PyThread_get_thread_ident() noexcept
    void* PyMem_Malloc(size_t) noexcept
    void* PyMem_Realloc(void*, size_t) noexcept
    void PyMem_Free(void*) noexcept
    PyObject* kamaelia_current(PyObject*, PyObject*, Py_hash_t) noexcept
    int kamaelia_set_current(PyObject*, PyObject*, PyObject*, Py_hash_t) except -1
    PyObject* kamaelia_take_raised() noexcept
    double rint(double) noexcept
    bint kamaelia_hold(PyObject*) noexcept
    bint kamaelia_holder_works(object, object) noexcept
    PyObject* kamaelia_stop_with(PyObject*) noexcept
    void kamaelia_forget_stop() noexcept
    void kamaelia_set_send(PyTypeObject*, sendfunc, iternextfunc) noexcept

    ctypedef int (*visitproc)(PyObject*, void*) noexcept
    ctypedef int (*traverseproc)(PyObject*, visitproc, void*) noexcept
    ctypedef int (*inquiry)(PyObject*) noexcept
    ctypedef struct TypeWithSlots "PyTypeObject":
        traverseproc tp_traverse
        inquiry tp_clear

cdef int STEP_BUDGET = _queue.STEP_BUDGET
cdef Py_ssize_t DEEP = _queue.DEEP
cdef Py_ssize_t MOST_SMALL = _queue.MOST_SMALL
cdef int PAST_LIMIT = _PAST_LIMIT
cdef int SLICE = _SLICE
# Up to 3.11 a step runs nobody's code but the component's; later also that of tasks which it starts eagerly.
cdef bint EAGER_TASKS = hasattr(_asyncio_tasks, "eager_task_factory")
cdef object python_wait = _queue.Wait
cdef object _weight_of = _queue.weight_of
cdef object snapshot = _queue.snapshot
cdef object check_unchanged = _queue.check_unchanged
cdef object stop_async_iteration = StopAsyncIteration
cdef object current_process = _process.current_process
# Whose step is under way: what `current_process` says too, but is long in finding. NULL where there is none.
cdef PyObject* stepping = NULL
cdef dict no_names = _process.NO_NAMES
cdef int CO_COROUTINE = inspect.CO_COROUTINE
cdef int CO_ASYNC_GENERATOR = inspect.CO_ASYNC_GENERATOR
# Asyncio's table of current tasks; None where components become current in another way.
cdef object current_tasks = _asyncio_tasks._current_tasks if _make_current is _make_current_by_table else None

cdef enum:
    # Where a process stands in line.
    NOWHERE = 0
    READER = 1
    SENDER = 2
    ELSEWHERE = 3  # with a `Wait`, as a plain process does
    ASLEEP = 4  # in no line: a `Sleep` stands in the clock's queue

cdef enum:
    # What an awaitable has done so far.
    NOT_AWAITED = 0
    FRESH = 3
    IN_LINE = 1  # its process has waited
    AFTER_TURN = 2  # it has only given others a turn

cdef enum:
    NEW = 0
    READY_TO_STEP = 1
    WAITING = 2
    FOREIGN = 3
    HOLDING = 4
    ENDED = 5

cdef tuple STATES = ("new", "ready", "waiting", "foreign", "holding", "ended")
cdef dict STATE_NUMBERS = {name: number for number, name in enumerate(STATES)}
cdef tuple OUTCOMES = (None, "ended", "stopped", "failed", "broken", "cancelled")
cdef tuple REASONS = (None, "stop", "failure", "grace")


# -- virtual time -------------------------------------------------------------------------------------


# Up to 3.11 asyncio asks the kernel for the process's number whenever a loop is made the running one. It keeps
# the loop in an object of its own, in which another can be put as well.
cdef bint HOLDER = kamaelia_holder_works(asyncio._set_running_loop, asyncio._get_running_loop)
cdef object set_running_loop = asyncio._set_running_loop
cdef object asyncio_handle = asyncio.Handle
cdef object asyncio_timer = asyncio.TimerHandle
cdef object get_running_loop = asyncio._get_running_loop
cdef long long NEVER = _NEVER
cdef Py_ssize_t MOST_TURNS = _MOST_TURNS
cdef double LONGEST = 9.2e18  # nanoseconds that are still of one size with `NEVER`


cdef long long nanoseconds(double seconds) noexcept:
    """See `clock.nanoseconds`."""
    cdef double exact = seconds * 1e9
    cdef long long nearest
    if not exact < LONGEST:
        return NEVER
    nearest = <long long>rint(exact)
    return nearest if nearest else exact > 0


cdef long long instant(double when) noexcept:
    """See `clock.instant`."""
    cdef double exact = when * 1e9
    cdef long long nearest
    if not exact < LONGEST:
        return NEVER
    nearest = <long long>rint(exact)
    while nearest / 1e9 < when:
        nearest += 1
    return nearest


cdef class Due:
    """Something that is to happen. A subclass in Python has a method ``_run``, one in Cython ``happen``."""

    cdef int happen(self) except -1:
        self._run()
        return 0


cdef class VirtualClock:
    """See `clock.PlainVirtualClock`."""

    def __dealloc__(self):
        clock_forget(self)
        PyMem_Free(self.heap)
        PyMem_Free(self.ring)

    def add_ready(self, happening):
        self.ready(happening)

    def add_timer(self, long long when, happening):
        self.push(when, happening)

    def add_again(self, long long when, unsigned long long serial, happening):
        self.push_again(when, serial, happening)

    cdef int ready(self, object happening) except -1:
        cdef PyObject** ring
        cdef Py_ssize_t room, index
        if self.count == self.ring_room:
            room = 2 * self.ring_room if self.ring_room else 16
            ring = <PyObject**>PyMem_Malloc(room * sizeof(PyObject*))
            if ring == NULL:
                raise MemoryError
            for index in range(self.count):
                ring[index] = self.ring[(self.first + index) & (self.ring_room - 1)]
            PyMem_Free(self.ring)
            self.ring, self.ring_room, self.first = ring, room, 0
        Py_INCREF(happening)
        self.ring[(self.first + self.count) & (self.ring_room - 1)] = <PyObject*>happening
        self.count += 1
        return 0

    cdef unsigned long long next_serial(self) noexcept:
        self.serial += 1
        return self.serial

    cdef int push(self, long long when, object happening) except -1:
        return self.push_again(when, self.next_serial(), happening)

    cdef int push_again(self, long long when, unsigned long long serial, object happening) except -1:
        """Add something that has had its place among those of the same time before."""
        cdef Entry* heap
        cdef Py_ssize_t at, parent, room
        if self.timers == self.heap_room:
            room = 2 * self.heap_room if self.heap_room else 16
            heap = <Entry*>PyMem_Realloc(self.heap, room * sizeof(Entry))
            if heap == NULL:
                raise MemoryError
            self.heap, self.heap_room = heap, room
        heap = self.heap
        at = self.timers
        self.timers += 1
        Py_INCREF(happening)
        while at:
            parent = (at - 1) >> 2
            if heap[parent].when < when or (heap[parent].when == when and heap[parent].serial < serial):
                break
            heap[at] = heap[parent]
            at = parent
        heap[at].when = when
        heap[at].serial = serial
        heap[at].happening = <PyObject*>happening
        return 0

    cdef object pop(self):
        """Take the first out of the heap."""
        cdef object happening = take_reference(self.heap[0].happening)
        self.timers -= 1
        if self.timers:
            clock_sift(self.heap, self.timers, 0, self.heap[self.timers])
        return happening

    def forget_timer(self):
        cdef Py_ssize_t index, kept = 0
        cdef Entry entry
        self.cancelled_timers += 1
        if self.cancelled_timers <= 100 or self.cancelled_timers * 2 <= self.timers:
            return
        for index in range(self.timers):
            entry = self.heap[index]
            if is_cancelled(<object>entry.happening):
                Py_DECREF(<object>entry.happening)
            else:
                self.heap[kept] = entry
                kept += 1
        self.timers = kept
        self.cancelled_timers = 0
        for index in range((kept + 2) // 4, -1, -1):
            if index < kept:
                clock_sift(self.heap, kept, index, self.heap[index])

    cdef bint has_time(self) except -1:
        """Say whether a timer is set, before the limit, and have the next one come first."""
        while self.timers and is_cancelled(<object>self.heap[0].happening):
            self.pop()
            self.cancelled_timers -= 1
        return self.timers != 0 and self.heap[0].when < self.limit

    def next_time(self):
        self.has_time()
        return self.heap[0].when if self.timers and self.heap[0].when != NEVER else None

    def go_to(self, long long when):
        if when > self.now:
            self.now = when
        self.collect_due()

    cdef int collect_due(self) except -1:
        """Make everything ready that is due."""
        cdef object happening
        while self.timers and self.heap[0].when <= self.now:
            happening = self.pop()
            if is_cancelled(happening):
                self.cancelled_timers -= 1
                continue
            if type(happening) is TimerHandle:
                (<TimerHandle>happening)._scheduled = False
            elif isinstance(happening, asyncio_timer):
                happening._scheduled = False
            self.ready(happening)
        return 0

    def turn(self):
        self.halted = False
        self.turns(1)

    def turns(self, Py_ssize_t most):
        global stepping
        before = get_running_loop()
        stepping = NULL  # a step may have another system run
        self.running = before
        self.is_at_limit = False
        try:
            while most and not self.halted:
                most -= 1
                self.turns_here += 1
                if not self.anything_due():
                    if not self.has_time():
                        if not self.stay():
                            _nothing_left()
                        most += 1
                        break
                    self.go_on()
                elif self.turns_here > MOST_TURNS:
                    if self.has_time():
                        self.go_on()
                    elif self.stay():
                        most += 1
                        break
                self.run_batch()
        finally:
            self.halted = False
            self.leave(before)
        return most

    cdef bint stay(self) noexcept:
        """No timer is set before the limit: if one is set at all, make no turn and stay where we are."""
        if self.timers == 0 or self.heap[0].when == NEVER:
            return False
        self.is_at_limit = True
        self.turns_here -= 1
        return True

    cdef int go_on(self) except -1:
        """Go to the next timer."""
        if self.heap[0].when > self.now:
            self.now = self.heap[0].when
        self.turns_here = 0
        return self.collect_due()

    def halt(self):
        self.halted = True

    def settle(self):
        global stepping
        before = get_running_loop()
        stepping = NULL
        self.running = before
        try:
            while self.anything_due():
                self.run_batch()
        finally:
            self.leave(before)

    cdef int run_batch(self) except -1:
        cdef Py_ssize_t left = self.count
        cdef object happening
        while left:
            left -= 1
            happening = take_reference(self.ring[self.first])
            self.first = (self.first + 1) & (self.ring_room - 1)
            self.count -= 1
            if self.frozen and self.is_put_aside(happening):
                continue
            if not isinstance(happening, Due):
                if not happening._cancelled:
                    self.enter(happening._loop)
                    happening._run()
            elif not (<Due>happening)._cancelled:
                if (<Due>happening)._loop is not None:
                    self.enter((<Due>happening)._loop)
                (<Due>happening).happen()
        return 0

    cdef bint is_put_aside(self, object happening) except -1:
        cdef object loop = happening._loop
        if loop is None or not loop.is_frozen or happening._cancelled:
            return False
        loop.put_aside(happening)
        return True

    cdef int enter(self, object loop) except -1:
        """Have a loop be the running one."""
        if loop is not self.running:
            if not HOLDER or not kamaelia_hold(<PyObject*>loop):
                set_running_loop(loop)
            self.running = loop
        return 0

    cdef int leave(self, object before) except -1:
        """Have that loop be the running one again that was before."""
        self.running = None
        set_running_loop(before)
        return 0

    def _anything_due(self):
        return self.anything_due()

    cdef bint anything_due(self) except -1:
        if self.timers and self.heap[0].when <= self.now:
            self.collect_due()
        return self.count != 0 or (self.hears_threads and self._collect())


cdef inline bint is_cancelled(object happening) except -1:
    return (<Due>happening)._cancelled if isinstance(happening, Due) else happening._cancelled


cdef void clock_sift(Entry* heap, Py_ssize_t count, Py_ssize_t at, Entry entry) noexcept:
    """Put an entry into a heap, here or further down; each entry has four below it."""
    cdef Py_ssize_t child, last, best
    while True:
        child = 4 * at + 1
        if child >= count:
            break
        last = min(child + 4, count)
        best = child
        child += 1
        while child < last:
            if heap[child].when < heap[best].when or (
                heap[child].when == heap[best].when and heap[child].serial < heap[best].serial
            ):
                best = child
            child += 1
        if entry.when < heap[best].when or (entry.when == heap[best].when and entry.serial < heap[best].serial):
            break
        heap[at] = heap[best]
        at = best
    heap[at] = entry


cdef void clock_forget(VirtualClock clock) noexcept:
    cdef Py_ssize_t count
    while clock.count:
        clock.count -= 1
        Py_DECREF(<object>clock.ring[(clock.first + clock.count) & (clock.ring_room - 1)])
    while clock.timers:
        clock.timers -= 1
        Py_DECREF(<object>clock.heap[clock.timers].happening)


cdef traverseproc clock_traverse_fields
cdef inquiry clock_clear_fields


cdef int clock_traverse(PyObject* self, visitproc visit, void* arg) noexcept:
    cdef VirtualClock clock = <VirtualClock>self
    cdef Py_ssize_t index
    cdef int stop
    for index in range(clock.count):
        stop = visit(clock.ring[(clock.first + index) & (clock.ring_room - 1)], arg)
        if stop:
            return stop
    for index in range(clock.timers):
        stop = visit(clock.heap[index].happening, arg)
        if stop:
            return stop
    return clock_traverse_fields(self, visit, arg) if clock_traverse_fields != NULL else 0


cdef int clock_clear(PyObject* self) noexcept:
    clock_forget(<VirtualClock>self)
    return clock_clear_fields(self) if clock_clear_fields != NULL else 0


cdef class Handle(Due):
    """See `asyncio.Handle`."""

    cdef public object _callback
    cdef public object _args
    cdef public object _context
    cdef object __weakref__

    @property
    def __class__(self):  # for isinstance(), by which some tell a handle from anything else
        return asyncio_handle

    cdef int happen(self) except -1:
        cdef PyObject* context = <PyObject*>self._context
        try:
            PyContext_Enter(context)
            try:
                PyObject_Call(self._callback, self._args, NULL)
            finally:
                PyContext_Exit(context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            _report_failure(self, error)  # outside the context, which asyncio may enter for the handler
        return 0

    def _run(self):
        self.happen()

    def get_context(self):
        return self._context

    def cancel(self):
        if not self._cancelled:
            self._cancelled = True
            self._callback = self._args = None

    def cancelled(self):
        return self._cancelled

    def __repr__(self):
        return _describe_handle(self)


cdef class TimerHandle(Handle):
    """See `asyncio.TimerHandle`."""

    cdef public bint _scheduled
    cdef readonly double _when

    @property
    def __class__(self):
        return asyncio_timer

    def when(self):
        return self._when

    def cancel(self):
        if not self._cancelled:
            if self._scheduled and (<LoopCalls>self._loop).fast is not None:
                (<LoopCalls>self._loop).fast.forget_timer()
            self._cancelled = True
            self._callback = self._args = None

    def __hash__(self):
        return hash(self._when)

    def __lt__(self, other):
        return self._when < other._when if isinstance(other, TimerHandle) else NotImplemented

    def __le__(self, other):
        return self._when <= other._when if isinstance(other, TimerHandle) else NotImplemented

    def __gt__(self, other):
        return self._when > other._when if isinstance(other, TimerHandle) else NotImplemented

    def __ge__(self, other):
        return self._when >= other._when if isinstance(other, TimerHandle) else NotImplemented


cdef class LoopCalls:
    """What loops do most often: see `clock.VirtualLoop`, of which this is a mixin."""

    cdef VirtualClock fast  # None if the clock is a plain one, or asyncio debugs
    cdef object _clock

    @property
    def clock(self):
        return self._clock

    @clock.setter
    def clock(self, clock):
        self._clock = clock
        self.fast = clock if isinstance(clock, VirtualClock) else None

    def set_debug(self, enabled):
        super(LoopCalls, self).set_debug(enabled)
        self.clock = self._clock
        if enabled:
            self.fast = None

    def have_own_time(self):
        """Its time is not the clock's any more: do everything in the slow way, which its class may have changed."""
        self.fast = None
        super(LoopCalls, self).have_own_time()

    def close(self):
        super(LoopCalls, self).close()
        self.fast = None  # the slow way says that it is closed

    def time(self):
        if self.fast is None:
            return super(LoopCalls, self).time()
        return self.fast.now / 1e9

    def call_soon(self, callback, *args, context=None):
        cdef Handle handle
        if self.fast is None:
            return super(LoopCalls, self).call_soon(callback, *args, context=context)
        handle = Handle.__new__(Handle)
        handle._callback = callback
        handle._args = args
        handle._loop = self
        handle._context = PyContext_CopyCurrent() if context is None else context
        self.fast.ready(handle)
        return handle

    def call_later(self, delay, callback, *args, context=None):
        if self.fast is None or delay is None:
            return super(LoopCalls, self).call_later(delay, callback, *args, context=context)
        return self.set_timer(self.fast.now / 1e9 + <double>delay, callback, args, context)

    def call_at(self, when, callback, *args, context=None):
        if self.fast is None or when is None:
            return super(LoopCalls, self).call_at(when, callback, *args, context=context)
        return self.set_timer(when, callback, args, context)

    cdef TimerHandle set_timer(self, double when, object callback, tuple args, object context):
        cdef TimerHandle handle = TimerHandle.__new__(TimerHandle)
        handle._callback = callback
        handle._args = args
        handle._loop = self
        handle._context = PyContext_CopyCurrent() if context is None else context
        handle._when = when
        handle._scheduled = True
        self.fast.push(instant(when), handle)
        return handle


cdef class Sleep(Due):
    """See `here._Sleep`. As long as somebody sleeps, it stands in the clock's queue itself."""

    cdef Process process
    cdef double seconds
    cdef long long step  # the scheduler's, in which it began
    cdef flag state

    def __await__(self):
        if self.seconds <= 0 or not is_own(self.process.scheduler):
            return _here.plain_sleep(self.process, self.seconds).__await__()
        self.state = FRESH
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if sleep_step(self) == PYGEN_RETURN:
            raise StopIteration

    cdef int happen(self) except -1:
        if self.process.asleep is self:
            self.process.wake_up()
        return 0

    cdef int give_up(self) except -1:
        """Whoever slept does something else."""
        self.process.asleep = None
        if self.process.waits == ASLEEP:
            self.process.waits = NOWHERE
        self._cancelled = True
        self.process.scheduler.clock.forget_timer()
        return 0


cdef int sleep_step(object awaitable) except -1:
    cdef Sleep self = <Sleep>awaitable
    cdef Process process = self.process
    cdef long long length
    if self.state != FRESH:
        if process.asleep is self or self.state != IN_LINE:
            raise RuntimeError("a sleep is awaited by two at the same time: call sleep() twice")
        return PYGEN_RETURN
    if process.scheduler.running is not process:
        raise RuntimeError("a sleep was begun in a step of a component, and goes on outside")
    if process.abandoned is not None and not process.cancels:
        error = process.abandoned
        process.abandoned = None
        raise error
    if process.stands != NOWHERE or process.asleep is not None:
        process.leave_line()
    self.state = IN_LINE
    self.step = process.scheduler.steps
    process.asleep = self
    process.waits = ASLEEP
    length = nanoseconds(self.seconds)
    process.scheduler.clock.push(process.scheduler.clock.now + length if length != NEVER else NEVER, self)
    return PYGEN_NEXT


ctypedef int (*sleep_function)(object) noexcept


cdef PySendResult sleep_send(PyObject* self, PyObject* argument, PyObject** result) noexcept:
    cdef int outcome = (<sleep_function>sleep_step)(<object>self)
    result[0] = NULL
    if outcome != PYGEN_ERROR:
        give_reference(result, None)
    return <PySendResult>outcome


cdef PyObject* sleep_next(PyObject* self) noexcept:
    if (<sleep_function>sleep_step)(<object>self) != PYGEN_NEXT:
        return NULL
    Py_INCREF(None)
    return <PyObject*>None


def sleep(seconds):
    """Wait for some seconds of the system's time. Await it, yield it, or, in a script, just call it.

    Unlike `asyncio.sleep` it ends at once with `BrokenLink` when nobody listens to the component any more.
    """
    cdef PyObject* found = NULL
    cdef object process
    cdef Sleep made
    cdef Scheduler scheduler
    if type(seconds) is float or type(seconds) is int:
        if stepping != NULL:  # perhaps of another thread, as is seen below
            found = stepping
            Py_INCREF(<object>found)
        else:
            PyContextVar_Get(current_process, NULL, &found)
        if found != NULL:
            process = take_reference(found)
            if isinstance(process, Process):
                scheduler = (<Process>process).scheduler
                if (
                    scheduler is not None
                    and scheduler.clock is not None
                    and (<LoopCalls>scheduler._loop).fast is not None
                    and scheduler.thread_number == PyThread_get_thread_ident()
                ):
                    made = Sleep.__new__(Sleep)
                    made._loop = scheduler._loop
                    made.process = process
                    made.seconds = seconds
                    return made
    return _here.sleep(seconds)


# -- lines --------------------------------------------------------------------------------------------


cdef struct Line:
    PyObject* first
    PyObject* last


cdef class Waiter:
    """Whatever can stand in a line: linked both ways, so that anybody may leave from the middle."""

    cdef PyObject* next_in_line
    cdef PyObject* previous_in_line
    cdef Line* line  # NULL, unless it stands in one
    cdef PyObject* next_ready
    cdef flag is_ready  # it is in the ready queue
    cdef flag is_process
    cdef flag is_outlet


cdef class _Place(Waiter):
    """The place in one line of who waits with a `Wait`: one such wait may stand in several lines."""

    cdef object wait
    cdef Route route  # of a sender


cdef inline void line_append(Line* line, Waiter waiter) noexcept:
    Py_INCREF(waiter)
    waiter.line = line
    waiter.next_in_line = NULL
    waiter.previous_in_line = line.last
    if line.last == NULL:
        line.first = <PyObject*>waiter
    else:
        (<Waiter>line.last).next_in_line = <PyObject*>waiter
    line.last = <PyObject*>waiter


cdef inline void line_remove(Line* line, Waiter waiter) noexcept:
    if waiter.previous_in_line == NULL:
        line.first = waiter.next_in_line
    else:
        (<Waiter>waiter.previous_in_line).next_in_line = waiter.next_in_line
    if waiter.next_in_line == NULL:
        line.last = waiter.previous_in_line
    else:
        (<Waiter>waiter.next_in_line).previous_in_line = waiter.previous_in_line
    waiter.next_in_line = waiter.previous_in_line = NULL
    waiter.line = NULL
    Py_DECREF(waiter)


cdef inline Waiter line_pop(Line* line):
    cdef Waiter waiter = <Waiter>line.first
    line_remove(line, waiter)
    return waiter


cdef tuple line_members(Line* line):
    """Return who stands in a line, as the plain form shows them: with a `Wait`."""
    cdef list members = []
    cdef PyObject* at = line.first
    while at != NULL:
        if (<Waiter>at).is_process:
            members.append((<Process>at).wait)
        elif (<Waiter>at).is_outlet:
            members.append(<object>at)
        else:
            members.append((<_Place>at).wait)
        at = (<Waiter>at).next_in_line
    return tuple(members)


cdef void line_clear(Line* line) noexcept:
    while line.first != NULL:
        line_remove(line, <Waiter>line.first)


# -- queues -------------------------------------------------------------------------------------------


cdef inline Py_ssize_t weight_of(object message) except -1:
    cdef Py_ssize_t weight
    if type(message) is bytes:
        weight = len(<bytes>message)
        return weight if weight else 1
    return _weight_of(message)


cdef class Extra:
    """What most queues do without."""

    cdef dict places  # of those who wait with a `Wait`: {wait: place}
    cdef long long dropped
    cdef object checks
    cdef object hand
    cdef object on_asked


cdef class Queue:
    """See `queue.Queue` and, for a mark in bytes, `queue.ByteQueue`."""

    cdef PyObject** ring  # `only` at first; later a block of a power of two
    cdef PyObject* only
    cdef int capacity
    cdef int first
    cdef int count
    cdef int senders_waiting
    cdef Line reader_line
    cdef Line sender_line
    cdef readonly Py_ssize_t size
    cdef Py_ssize_t alarm
    cdef Py_ssize_t weight  # bytes, where the mark is in bytes
    cdef public Py_ssize_t peak
    cdef public long long received
    cdef public long long shared
    cdef public long long fast_until
    cdef long long step
    cdef unsigned long thread_number
    cdef Extra extra
    cdef unsigned int step_received  # the lower half of `received`
    cdef int granted
    cdef public int brake
    cdef public int feeders
    cdef public int turns
    cdef unsigned int epoch
    cdef public flag drops_oldest
    cdef flag over
    cdef readonly flag in_bytes

    def __cinit__(self, Py_ssize_t size, bint in_bytes=False):
        self.ring = &self.only
        self.capacity = 1
        self.size = size
        self.in_bytes = in_bytes
        self.brake = -1
        self.alarm = -1

    def __dealloc__(self):
        self.empty()
        if self.ring != &self.only:
            PyMem_Free(self.ring)
        line_clear(&self.reader_line)
        line_clear(&self.sender_line)

    def __len__(self):
        return self.count

    def __bool__(self):
        return True

    def __iter__(self):
        cdef Py_ssize_t index
        return iter([
            <object>self.ring[(self.first + index) & (self.capacity - 1)] for index in range(self.count)
        ])

    cdef Extra extras(self):
        if self.extra is None:
            self.extra = Extra.__new__(Extra)
        return self.extra

    @property
    def checks(self):
        return None if self.extra is None else self.extra.checks

    @property
    def hand(self):
        return None if self.extra is None else self.extra.hand

    @hand.setter
    def hand(self, hand):
        self.extras().hand = hand

    @property
    def on_asked(self):
        return None if self.extra is None else self.extra.on_asked

    @on_asked.setter
    def on_asked(self, on_asked):
        self.extras().on_asked = on_asked

    @property
    def dropped(self):
        return 0 if self.extra is None else self.extra.dropped

    @dropped.setter
    def dropped(self, number):
        self.extras().dropped = number

    @property
    def thread(self):
        return self.thread_number or None

    @thread.setter
    def thread(self, number):
        self.thread_number = number or 0

    cdef bint is_plain(self) noexcept:
        """Say whether only components stand in its lines, and nobody looks at each message."""
        cdef Extra extra = self.extra
        return extra is None or (
            extra.checks is None and extra.hand is None and (extra.places is None or len(extra.places) == 0)
        )

    # -- the ring ---------------------------------------------------------------------------------

    cdef int grow(self) except -1:
        cdef int capacity = 8 if self.capacity == 1 else 2 * self.capacity
        cdef PyObject** ring = <PyObject**>PyMem_Malloc(<size_t>capacity * sizeof(PyObject*))
        cdef int index
        if capacity <= 0 or ring == NULL:
            raise MemoryError()
        for index in range(self.count):
            ring[index] = self.ring[(self.first + index) & (self.capacity - 1)]
        if self.ring != &self.only:
            PyMem_Free(self.ring)
        self.ring = ring
        self.capacity = capacity
        self.first = 0
        return 0

    cdef inline int push(self, object message) except -1:
        if self.count == self.capacity:
            self.grow()
        Py_INCREF(message)
        self.ring[(self.first + self.count) & (self.capacity - 1)] = <PyObject*>message
        self.count += 1
        return 0

    cdef inline PyObject* pop(self) noexcept:
        # The reference that the ring had is the caller's now.
        cdef PyObject* message = self.ring[self.first]
        self.first = (self.first + 1) & (self.capacity - 1)
        self.count -= 1
        return message

    cdef void empty(self) noexcept:
        while self.count:
            Py_XDECREF(self.pop())

    # -- how full ---------------------------------------------------------------------------------

    @cython.cdivision(True)
    cdef inline Py_ssize_t filled(self) noexcept:
        if not self.in_bytes:
            return self.count
        return max(self.weight, self.count * (self.size // MOST_SMALL))

    cdef inline Py_ssize_t kept(self) noexcept:
        return self.weight if self.in_bytes else self.count

    def level(self):
        return self.filled()

    def waiting(self):
        return self.kept()

    def resize(self, Py_ssize_t size):
        self.size = size
        self.place_brake()

    cdef inline void place_brake(self) noexcept:
        cdef Py_ssize_t brake = -1
        if self.in_bytes:
            return
        if self.feeders == 1 and (self.extra is None or self.extra.checks is None):
            brake = self.size - self.granted
            if brake > DEEP:
                brake = DEEP
            brake -= 1
        self.brake = brake

    def set_brake(self):
        self.place_brake()

    cdef inline void allow(self, long long step) noexcept:
        if step != self.step:
            self.step = step
            self.step_received = <unsigned int>self.received
        if (
            self.reader_line.first == NULL and not self.turns and not self.in_bytes
            and (self.extra is None or (self.extra.checks is None and self.extra.hand is None))
        ):
            self.fast_until = self.received - self.received_in_step() + STEP_BUDGET

    cdef inline unsigned int received_in_step(self) noexcept:
        return <unsigned int>self.received - self.step_received

    def set_fast(self, long long step):
        self.allow(step)

    cdef inline bint in_budget(self, long long step) noexcept:
        return step != self.step or self.received_in_step() < <unsigned int>STEP_BUDGET

    def has_budget(self, long long step):
        return self.in_budget(step)

    # -- messages ---------------------------------------------------------------------------------

    def put_in(self):
        return self.received + (0 if self.extra is None else self.extra.dropped) + self.count

    cpdef long long put_alone(self):
        return self.received + (0 if self.extra is None else self.extra.dropped) + self.count - self.shared

    cdef int insert(self, object message) except -1:
        cdef Py_ssize_t level
        if self.in_bytes:
            self.weight += weight_of(message)
        self.push(message)
        level = self.kept()
        if level > self.peak:
            self.peak = level
        level = self.filled()
        if level >= self.size and not self.over:
            self.over = True
            if self.alarm < self.size - 1:
                self.alarm = self.size - 1
        if self.extra is not None and self.extra.checks is not None:
            self.extra.checks.append(snapshot(message))
        if self.reader_line.first != NULL and self.count > self.turns:
            self.give_turn()
        return 0

    def put(self, message):
        self.insert(message)

    cdef object remove(self):
        cdef object message
        cdef PyObject* raw
        if not self.count:
            raise IndexError("the queue is empty")
        if self.in_bytes:
            self.weight -= weight_of(<object>self.ring[self.first])
        raw = self.pop()
        message = <object>raw
        Py_DECREF(message)
        self.received += 1
        if self.extra is not None:
            if self.extra.hand is not None:
                self.extra.hand[:] = [message]
            if self.extra.checks is not None:
                check_unchanged(message, self.extra.checks.popleft())
        if self.filled() <= self.alarm:
            self.ring_alarm()
        return message

    def take(self):
        return self.remove()

    cdef int remove_into(self, PyObject** result) except -1:
        give_reference(result, self.remove())
        return PYGEN_RETURN

    def drain(self):
        messages = tuple(self)
        self.empty()
        self.weight = 0
        if self.extra is not None and self.extra.checks is not None:
            self.extra.checks.clear()
        return messages

    def check(self):
        if self.checks is None:
            self.extras().checks = collections.deque([snapshot(message) for message in self])
            self.fast_until = 0
            self.place_brake()

    cdef int drop_first(self) except -1:
        cdef Extra extra = self.extras()
        if self.in_bytes:
            self.weight -= weight_of(<object>self.ring[self.first])
        Py_XDECREF(self.pop())
        extra.dropped += 1
        if extra.checks is not None:
            extra.checks.popleft()
        return 0

    def drop_oldest(self):
        self.drop_first()

    cdef int ring_alarm(self) except -1:
        cdef Py_ssize_t level = self.filled()
        if self.over and level < self.size:
            self.over = False
            self.epoch += 1
        self.alarm = -1
        if self.sender_line.first != NULL:
            if level <= self.size // 2:
                self.free()
            if self.sender_line.first != NULL:
                self.alarm = self.size // 2
        if self.over:
            self.alarm = self.size - 1
        return 0

    def on_alarm(self):
        self.ring_alarm()

    # -- readers ----------------------------------------------------------------------------------

    @property
    def readers(self):
        return line_members(&self.reader_line)

    def available(self):
        return self.count > self.turns

    cdef Waiter place_of(self, object wait, Route route):
        """Return what stands in a line of this queue for who waits with a `Wait`; it may be new."""
        cdef Extra extra = self.extras()
        cdef _Place place
        if extra.places is None:
            extra.places = {}
        place = extra.places.get(wait)
        if place is None:
            place = _Place.__new__(_Place)
            place.wait = wait
            place.route = route
            extra.places[wait] = place
        return place

    cdef int line_up_reader(self, Waiter waiter) except -1:
        if waiter.line == NULL:
            line_append(&self.reader_line, waiter)
        self.fast_until = 0
        if self.count > self.turns:
            self.give_turn()
        elif self.extra is not None and self.extra.on_asked is not None:
            self.extra.on_asked()
        return 0

    def line_up(self, wait):
        self.line_up_reader(self.place_of(wait, None))

    cdef int give_turn(self) except -1:
        cdef Waiter waiter
        cdef Process process
        while self.reader_line.first != NULL:
            waiter = line_pop(&self.reader_line)
            if waiter.is_process:
                process = <Process>waiter
                process.turn_queue = self
                self.turns += 1
                process.go_on()
                return 0
            if waiter.is_outlet:
                (<Outlet>waiter).make_ready()
                return 0
            wait = (<_Place>waiter).wait
            self.extra.places.pop(wait, None)
            if wait.turn is None:
                wait.turn = self
                self.turns += 1
                wait.wake()
                return 0
        return 0

    def grant(self):
        self.give_turn()

    cdef int leave_readers(self, Process process) except -1:
        if process.turn_queue is self:
            process.turn_queue = None
            self.turns -= 1
            if self.reader_line.first != NULL and self.count > self.turns:
                self.give_turn()
        elif process.line == &self.reader_line:
            line_remove(&self.reader_line, process)
        return 0

    def leave(self, wait):
        cdef Waiter place
        if wait.turn is self:
            wait.turn = None
            self.turns -= 1
            if self.reader_line.first != NULL and self.count > self.turns:
                self.give_turn()
        elif self.extra is not None and self.extra.places is not None:
            place = self.extra.places.pop(wait, None)
            if place is not None and place.line == &self.reader_line:
                line_remove(&self.reader_line, place)

    def wake_readers(self):
        cdef list woken = []
        cdef Waiter waiter
        while self.reader_line.first != NULL:
            waiter = line_pop(&self.reader_line)
            if not (waiter.is_process or waiter.is_outlet):
                self.extra.places.pop((<_Place>waiter).wait, None)
            woken.append(waiter)
        for waiter in woken:
            if waiter.is_process:
                (<Process>waiter).go_on()
            elif waiter.is_outlet:
                (<Outlet>waiter).make_ready()
            else:
                (<_Place>waiter).wait.wake()

    # -- senders ----------------------------------------------------------------------------------

    @property
    def senders(self):
        return line_members(&self.sender_line)

    cdef inline bint full_for(self, Route route) noexcept:
        return route.turns <= 0 and self.filled() + self.granted >= self.size

    def is_full(self, Route route):
        return self.full_for(route)

    cdef int line_up_for_room(self, Waiter waiter) except -1:
        line_append(&self.sender_line, waiter)
        self.senders_waiting += 1
        if self.alarm < self.size // 2:
            self.alarm = self.size // 2
        return 0

    def line_up_sender(self, wait, Route route):
        self.line_up_for_room(self.place_of(wait, route))

    cdef int leave_room(self, Waiter waiter, Py_ssize_t turn, Route route, bint freed) except -1:
        if waiter is not None and waiter.line == &self.sender_line:
            line_remove(&self.sender_line, waiter)
            self.senders_waiting -= 1
        if turn:
            if not freed:
                self.granted -= turn
            else:
                route.turns += turn
                route.outbox.owner.scheduler.give_until_end_of_step(route)
            self.place_brake()
        if self.sender_line.first != NULL and self.filled() <= self.size // 2:
            self.free()
        return 0

    def leave_sender(self, wait, Route route, bint freed):
        cdef Waiter place = None
        if self.extra is not None and self.extra.places is not None:
            place = self.extra.places.pop(wait, None)
        self.leave_room(place, wait.turn or 0, route, freed)

    cdef int free(self) except -1:
        cdef Py_ssize_t room, count, share, extra, index, turn
        cdef bint granting
        cdef Waiter waiter
        cdef Process process
        if self.in_bytes:
            # How much the one that is freed is going to send nobody knows.
            if self.filled() <= self.size // 2:
                self.free_one(self.first_sender(), 0)
            return 0
        room = self.size - self.count - self.granted
        count = self.senders_waiting
        if room < count:
            count = room
        if count <= 0:
            return 0
        granting = self.feeders > 1 or self.senders_waiting > 1
        share = room // count
        extra = room % count
        for index in range(count):
            turn = 0
            if granting:
                turn = share + (index < extra)
                self.granted += turn
            self.free_one(self.first_sender(), turn)
        self.place_brake()
        return 0

    cdef Waiter first_sender(self):
        self.senders_waiting -= 1
        return line_pop(&self.sender_line)

    cdef int free_one(self, Waiter waiter, Py_ssize_t turn) except -1:
        if waiter.is_process:
            (<Process>waiter).turn_room = turn
            (<Process>waiter).go_on()
        else:
            wait = (<_Place>waiter).wait
            if turn:
                wait.turn = turn
            wait.wake()
        return 0

    cdef int take_back(self, Route route) except -1:
        if route.turns:
            self.granted -= route.turns
            route.turns = 0
            self.place_brake()
            if self.sender_line.first != NULL and self.filled() <= self.size // 2:
                self.free()
        return 0

    def give_back(self, Route route):
        self.take_back(route)

    cdef inline void use_turn(self, Route route) noexcept:
        if route.turns > 0 and not self.in_bytes:
            route.turns -= 1
            self.granted -= 1
            self.place_brake()

    def forget_route(self, Route route, bint wake):
        cdef PyObject* at
        cdef Waiter waiter
        cdef list left = []
        self.feeders -= 1
        self.drops_oldest = self.drops_oldest and route.when_full != "drop-oldest"
        self.take_back(route)
        if wake:
            at = self.sender_line.first
            while at != NULL:
                waiter = <Waiter>at
                at = waiter.next_in_line
                if waiter.is_process:
                    if (<Process>waiter).line_route is route:
                        left.append(waiter)
                elif (<_Place>waiter).route is route:
                    left.append(waiter)
            for waiter in left:
                if waiter.line == &self.sender_line:
                    line_remove(&self.sender_line, waiter)
                    self.senders_waiting -= 1
                    self.free_one(waiter, 0)
        self.place_brake()


cdef traverseproc queue_traverse_fields
cdef inquiry queue_clear_fields


cdef int line_traverse(Line* line, visitproc visit, void* arg) noexcept:
    cdef PyObject* at = line.first
    cdef int stop
    while at != NULL:
        stop = visit(at, arg)
        if stop:
            return stop
        at = (<Waiter>at).next_in_line
    return 0


cdef int queue_traverse(PyObject* self, visitproc visit, void* arg) noexcept:
    cdef Queue queue = <Queue>self
    cdef Py_ssize_t index
    cdef int stop
    for index in range(queue.count):
        stop = visit(queue.ring[(queue.first + index) & (queue.capacity - 1)], arg)
        if stop:
            return stop
    stop = line_traverse(&queue.reader_line, visit, arg)
    if stop:
        return stop
    stop = line_traverse(&queue.sender_line, visit, arg)
    if stop:
        return stop
    return queue_traverse_fields(self, visit, arg)


cdef int queue_clear(PyObject* self) noexcept:
    cdef Queue queue = <Queue>self
    queue.empty()
    line_clear(&queue.reader_line)
    line_clear(&queue.sender_line)
    return queue_clear_fields(self)


# -- links and routes ---------------------------------------------------------------------------------


cdef class Link:
    """See `link.PlainLink`."""

    cdef public object source
    cdef public object target
    cdef public object when_full
    cdef public object routed
    cdef dict rare
    cdef public flag feedback
    cdef public flag outside
    cdef public flag made
    cdef public flag open


cdef inline object alone_or_all(object several):
    """Return how a collection such as `link.Links` is kept: what is alone needs no tuple around it."""
    if type(several) is tuple:
        if len(<tuple>several) == 0:
            return None
        if len(<tuple>several) == 1:
            return (<tuple>several)[0]
    return several


cdef inline object all_of(object kept):
    """Return such a collection as it is shown."""
    if kept is None:
        return ()
    if type(kept) is tuple or type(kept) is dict:
        return kept
    return (kept,)


cdef class Route:
    """See `link.PlainRoute`."""

    cdef readonly Outbox outbox
    cdef readonly Queue queue
    cdef object path  # a link, or a tuple of them
    cdef readonly object when_full
    cdef public long long dropped
    cdef public long long shared
    cdef public long long base
    cdef public int turns
    cdef public int past
    cdef unsigned int epoch
    cdef flag waits

    def __cinit__(self, Outbox outbox, Queue queue, tuple links):
        self.outbox = outbox
        self.queue = queue
        self.path = alone_or_all(links)
        self.when_full = "wait"
        for link in links:
            if link.when_full != "wait":
                self.when_full = link.when_full
        self.waits = self.when_full == "wait"
        self.base = queue.put_alone()

    @property
    def passed(self):
        return self.shared + self.queue.put_alone() - self.base

    cdef inline void count_shared(self) noexcept:
        if self.queue.feeders > 1:
            self.shared += 1
            self.queue.shared += 1

    @property
    def links(self):
        return all_of(self.path)

    @property
    def scheduler(self):
        return self.outbox.owner.scheduler

    cdef inline bint counts_past(self) noexcept:
        cdef Queue queue = self.queue
        if self.turns <= 0 and queue.filled() >= queue.size:
            if self.epoch != queue.epoch:
                self.epoch = queue.epoch
                self.past = 0
            if self.past >= PAST_LIMIT:
                return False
            self.past += 1
        return True

    def count_past(self):
        return self.counts_past()


# -- boxes --------------------------------------------------------------------------------------------


cdef class Box:
    """See `box.PlainBox`."""

    cdef readonly object declaration
    cdef readonly Process owner
    cdef public object name
    cdef Box next_box  # of the same process
    cdef object links_in
    cdef object links_out
    cdef dict rare  # what `Rarely` keeps
    cdef public int sources
    cdef public int holds
    cdef public int outside
    cdef public flag settled
    cdef public flag ended
    cdef public flag linked
    cdef public flag lost
    cdef public flag wired
    cdef public flag own

    def __cinit__(self, declaration, Process owner, name):
        self.declaration = declaration
        self.owner = owner
        self.name = name
        self.own = owner.has_body

    @property
    def incoming(self):
        return all_of(self.links_in)

    @incoming.setter
    def incoming(self, links):
        self.links_in = alone_or_all(links)

    @property
    def outgoing(self):
        return all_of(self.links_out)

    @outgoing.setter
    def outgoing(self, links):
        self.links_out = alone_or_all(links)

    @property
    def doc(self):
        return self.declaration.doc

    @property
    def type(self):
        return self.declaration.type


cdef class Inbox(Box):
    """See `inbox.PlainInbox`."""

    cdef Queue messages
    cdef Receive spare
    cdef Receive iterator
    cdef public Py_ssize_t size
    cdef public flag in_bytes
    cdef public flag held
    cdef public flag asked
    cdef public flag gone
    cdef public flag keeps_queue
    cdef public flag end_told
    cdef public flag failure_told

    def __cinit__(self, declaration, Process owner, name):
        self.size = declaration.size
        self.in_bytes = declaration.in_bytes
        self.held = declaration.held
        if self.held:
            self.holds = 1
        self.messages = Queue.__new__(Queue, self.size, self.in_bytes)

    def __init__(self, declaration, owner, name):
        """Nothing is left to do; but the constructor of declarations must not be found instead."""

    @property
    def queue(self):
        return self.messages

    @queue.setter
    def queue(self, Queue queue):
        self.messages = queue

    def receive(self, *, timeout=None):
        cdef Receive awaitable
        if PyThread_get_thread_ident() == self.messages.thread_number:
            if timeout is not None:
                return _TimedTake(self, timeout)
            awaitable = self.spare
            # A new one for each call that is under way: asyncio.gather awaits equal objects only once.
            if awaitable is None or (<PyObject*>awaitable).ob_refcnt > 2:  # the box's and this variable's
                awaitable = self.spare = new_receive(self, False)
            awaitable.state = NOT_AWAITED
            return awaitable
        return self.receive_elsewhere(timeout)

    def receive_elsewhere(self, timeout):
        cdef Queue queue = self.messages
        cdef Scheduler scheduler
        if (
            timeout is None and self.owner.may_go_ahead() and queue.count > queue.turns
            and queue.reader_line.first == NULL and queue.is_plain() and not self.gone and not self.wired
        ):
            scheduler = self.owner.scheduler
            self.asked = True
            scheduler.puts_off = True
            try:
                message = queue.remove()
            finally:
                scheduler.puts_off = False
            scheduler.catch_up()
            return message
        return self._elsewhere(_partial(self.receive, timeout=timeout), wait=True)

    def __aiter__(self):
        if self.iterator is None:
            self.iterator = new_receive(self, True)
        return self.iterator


cdef bint has_its_place(Process process) except -1:
    """Say whether a component has not been taken out of a pipeline that was joined with others."""
    return process.parent is None or process.state_number != NEW or process in process.parent.children


cdef class Outbox(Box):
    """See `outbox.PlainOutbox`."""

    cdef public Queue fast
    cdef Pacing pacing
    cdef object ways  # a route, or a collection of them
    cdef public long long discarded
    cdef public flag optional
    cdef public flag closed

    def __cinit__(self, declaration, Process owner, name):
        self.optional = declaration.optional or name == "failures"
        if name == "failures":
            self.own = True

    @property
    def routes(self):
        return all_of(self.ways)

    @routes.setter
    def routes(self, routes):
        self.ways = alone_or_all(routes)

    def __init__(self, declaration, owner, name):
        """As that of `Inbox`."""

    def send(self, message):
        cdef Queue queue = self.fast
        if (
            queue is not None
            and queue.count < queue.brake
            and PyThread_get_thread_ident() == queue.thread_number
        ):
            queue.push(message)
            if queue.count > queue.peak:
                queue.peak = queue.count
            if queue.reader_line.first != NULL:
                queue.give_turn()
            return READY
        return self.send_slowly(message)

    def link_simply(self, target, wire=None):
        """Make a link in the usual case, a box of a component to one of another of which neither is linked or
        tapped: what `postman.make` would do, which looks closer at all others."""
        cdef Inbox inbox
        cdef Queue queue
        cdef Route route
        cdef Link link
        if type(target) is not type_of_inboxes or not (wire is None or type(wire) is type_of_links):
            return None
        inbox = <Inbox>target
        queue = inbox.messages
        given = self.declaration.type
        wanted = inbox.declaration.type
        if not (given is wanted or given is Any or wanted is Any):
            return None
        if not (has_its_place(self.owner) and has_its_place(inbox.owner)):
            return None
        if (
            self.ways is not None or self.links_out is not None or self.links_in is not None
            or inbox.links_in is not None or inbox.links_out is not None or inbox.wired or inbox.gone
            or inbox.ended or self.ended or not self.own or not inbox.own or queue.feeders
            or self.owner.abandoned is not None or queue.in_bytes or queue.extra is not None
            or self.rare or inbox.rare or inbox.keeps_queue or inbox.holds
        ):
            return None
        if wire is None:
            link = <Link>type_of_links.__new__(type_of_links)
            link.source = self
            link.target = inbox
            link.when_full = "wait"
        else:
            link = <Link>wire
            if link.feedback or link.made:
                return None
        route = Route.__new__(Route, self, queue, (link,))
        self.links_out = link
        self.linked = True
        self.lost = False
        self.ways = route
        self.fast = queue if route.waits else None
        inbox.links_in = link
        inbox.sources += 1
        queue.feeders = 1
        queue.place_brake()
        if route.when_full == "drop-oldest":
            queue.drops_oldest = True
        link.made = True
        link.open = True
        link.routed = route
        if self.owner.scheduler is not None and self.owner.scheduler.observer is not None:
            self.owner.scheduler.observer("linked", link)
        return link

    cdef object send_slowly(self, object message):
        cdef Process owner = self.owner
        cdef Scheduler scheduler = owner.scheduler
        cdef Route route
        cdef Queue queue
        if scheduler is None or PyThread_get_thread_ident() != scheduler.thread_number:
            if self._on_another_thread():
                return self.send_elsewhere(message)
            self._check_open()
        if self.closed or not self.own:
            self._check_open()
        if type(self.ways) is Route and not self.rare:
            # The usual case of what follows: one reader, who has to get everything, and no taps.
            route = <Route>self.ways
            queue = route.queue
            if route.waits and (not queue.in_bytes or type(message) is bytes):
                if not route.counts_past():
                    raise self.too_far_past(route)
                queue.use_turn(route)
                route.count_shared()
                queue.insert(message)
                if queue.full_for(route):
                    return self.pace()
                return TURN if queue.feeders > 1 or queue.filled() >= DEEP else READY
        return self.send_to_all(message, scheduler)

    cdef object send_elsewhere(self, object message):
        cdef Queue queue = self.fast
        cdef Scheduler scheduler
        if (
            queue is not None and queue.count < queue.brake and queue.is_plain() and self.owner.may_go_ahead()
        ):
            scheduler = self.owner.scheduler
            scheduler.puts_off = True
            try:
                queue.insert(message)
            finally:
                scheduler.puts_off = False
            scheduler.catch_up()
            return None
        return self._elsewhere(_partial(self.send, message), wait=True)

    cdef object send_to_all(self, object message, Scheduler scheduler):
        cdef Route route
        cdef Queue queue
        cdef bint full = False, turn = False
        cdef object routes = self.routes
        if not routes and self.lost and not self.optional:
            raise self.broken()
        if type(routes) is dict:
            routes = tuple(routes)
        for route in <tuple>routes:  # all before any is used: a refused message goes to no reader
            if route.queue.in_bytes and not hasattr(type(message), "__len__"):
                raise self.without_length(message, route)
            if route.waits and not route.counts_past():
                raise self.too_far_past(route)
        if self.tapped_by:
            now = scheduler._loop.time()
            for tap in self.tapped_by:
                tap.record(message, now)
        if not routes:
            self.discarded += 1
            return TURN
        for route in <tuple>routes:
            queue = route.queue
            if route.waits:
                queue.use_turn(route)
                route.count_shared()
                queue.insert(message)
                if queue.full_for(route):
                    full = True
                elif queue.feeders > 1 or queue.filled() >= DEEP:
                    turn = True  # those who share an inbox share it evenly, message by message
            else:
                turn = True
                if queue.filled() >= queue.size:
                    route.dropped += 1
                    if route.when_full == "drop-newest":
                        continue
                    queue.drop_first()
                route.count_shared()
                queue.insert(message)
        if full:
            return self.pace()
        return TURN if turn else READY

    cdef object pace(self):
        if self.pacing is None:
            self.pacing = Pacing.__new__(Pacing)
            self.pacing.box = self
        return self.pacing


# -- awaitables ---------------------------------------------------------------------------------------


cdef bint is_own(Scheduler scheduler) except -1:
    """Say whether the running code is a component's own, not some other task of the loop."""
    cdef PyObject* current
    if scheduler is None or scheduler.running is None:
        return False
    if not EAGER_TASKS:
        return True
    if current_tasks is None:
        return asyncio.current_task(scheduler._loop) is scheduler.running.component
    current = kamaelia_current(<PyObject*>current_tasks, <PyObject*>scheduler._loop, scheduler.loop_hash)
    return current == <PyObject*>scheduler.running.component


cdef inline object take_reference(PyObject* owned):
    """Return an object of which a reference is ours, and is no more afterwards."""
    cdef object value = <object>owned
    Py_DECREF(value)
    return value


cdef inline void give_reference(PyObject** result, object value) noexcept:
    Py_INCREF(value)
    result[0] = <PyObject*>value


cdef class Ready:
    """See `outbox.READY`."""

    def __await__(self):
        return self

    def __iter__(self):  # for "yield from", with which asyncio's gather awaits it
        return self

    def __next__(self):
        raise StopIteration


cdef PySendResult ready_send(PyObject* self, PyObject* argument, PyObject** result) noexcept:
    give_reference(result, None)
    return PYGEN_RETURN


cdef PyObject* ready_next(PyObject* self) noexcept:
    return NULL


cdef class Turn:
    """See `queue.TURN`."""

    def __await__(self):
        return TurnTaken.__new__(TurnTaken)


@cython.freelist(16)
@cython.no_gc
cdef class TurnTaken:
    """What awaits a `Turn`: it gives way once."""

    cdef flag over

    def __await__(self):  # or there would be no place for `turn_send`
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.over:
            raise StopIteration
        self.over = True


cdef PySendResult turn_send(PyObject* self, PyObject* argument, PyObject** result) noexcept:
    give_reference(result, None)
    if (<TurnTaken>self).over:
        return PYGEN_RETURN
    (<TurnTaken>self).over = True
    return PYGEN_NEXT


cdef PyObject* turn_next(PyObject* self) noexcept:
    if (<TurnTaken>self).over:
        return NULL
    (<TurnTaken>self).over = True
    Py_INCREF(None)
    return <PyObject*>None


cdef Ready READY = Ready.__new__(Ready)
cdef Turn TURN = Turn.__new__(Turn)


@cython.freelist(16)
cdef class Receive:
    """See `inbox._Take` and, where there is an ``end``, `inbox._Next` and `inbox._Iterator`."""

    cdef Inbox box
    cdef int state
    cdef flag iterates  # so that `StopAsyncIteration` is raised when there will be no more

    def __aiter__(self):
        return self

    def __anext__(self):
        return self

    def __await__(self):
        return self if receive_begins(self) else self.box.wait_for_message(end_of(self))

    def __iter__(self):
        if self.state == NOT_AWAITED:
            raise TypeError(f"'{type(self).__name__}' object is not iterable")
        return self

    def __next__(self):
        cdef PyObject* result = NULL
        if receive_step(self, &result) == PYGEN_NEXT:
            return take_reference(result)
        raise StopIteration(take_reference(result))

    def __getattr__(self, name):
        raise _no_message_yet(self.box, name)

    def __repr__(self):
        return _describe_take(self.box)


cdef inline Receive new_receive(Inbox box, bint iterates):
    cdef Receive receive = Receive.__new__(Receive)
    receive.box = box
    receive.iterates = iterates
    return receive


cdef object end_of(Receive receive):
    """Return what is raised when there will be no more; None for `EndOfMessages`."""
    return stop_async_iteration if receive.iterates else None


cdef bint receive_begins(Receive receive) except -1:
    """Say whether it may be stepped. A task of asyncio's waits in the plain way, with a future: it may be one of
    several."""
    cdef PyObject* queue = <PyObject*>receive.box.messages
    receive.state = FRESH
    if (<Queue>queue).count and (<Queue>queue).received < (<Queue>queue).fast_until:
        return True
    return is_own(receive.box.owner.scheduler)


cdef int receive_step(object awaitable, PyObject** result) except -1:
    """Take a message, or suspend the process until there is one: see `Inbox.wait_for_message`."""
    # Borrowed from the box, which the awaitable has a reference to: this is the path of every message.
    cdef PyObject* queue = <PyObject*>(<Receive>awaitable).box.messages
    cdef PyObject* message
    if (
        (<Receive>awaitable).state == FRESH
        and (<Queue>queue).count
        and (<Queue>queue).received < (<Queue>queue).fast_until
    ):
        (<Queue>queue).received += 1
        message = (<Queue>queue).pop()
        if (<Queue>queue).count <= (<Queue>queue).alarm:
            (<Queue>queue).ring_alarm()
        result[0] = message
        return PYGEN_RETURN
    return receive_slowly(<Receive>awaitable, result)


cdef int receive_slowly(Receive self, PyObject** result) except -1:
    cdef Inbox box = self.box
    cdef Queue queue = box.messages
    cdef PyObject* owner = <PyObject*>box.owner
    cdef PyObject* scheduler = <PyObject*>(<Process>owner).scheduler
    cdef Process process
    if scheduler == <PyObject*>None or (<Scheduler>scheduler).running is None:
        raise RuntimeError(f"{_describe_take(box)} was begun in a step of a component, and goes on outside")
    process = (<Scheduler>scheduler).running
    if self.state == FRESH:
        if box.wired or box.gone:
            box._check_open()
        box.asked = True
        if process.stands != NOWHERE:  # whoever drives the coroutine by hand has closed a wait before
            process.leave_line()
    else:
        queue = process.line_queue
        if queue is None:
            raise RuntimeError(f"{_describe_take(box)} is awaited by two at the same time: call receive() twice")
        process.stands = NOWHERE
        process.line_queue = None
        if process.turn_queue is queue:
            process.turn_queue = None
            queue.turns -= 1
            queue.allow((<Scheduler>scheduler).steps)
            return queue.remove_into(result)
        if process.line == &queue.reader_line:
            line_remove(&queue.reader_line, process)
    if queue.count > queue.turns:
        if (
            queue.reader_line.first == NULL
            and not queue.turns
            and queue.in_budget((<Scheduler>scheduler).steps)
        ):
            queue.allow((<Scheduler>scheduler).steps)
            return queue.remove_into(result)
    elif box.ended:
        box.raise_end(end_of(self))
    elif box.gone:
        raise ClosedBox(f"{box} was closed while it was waited for")
    process.stands = READER
    process.line_queue = queue
    process.line_box = box
    queue.line_up_reader(process)
    self.state = IN_LINE
    if process.turn_queue is not queue:
        if (<Process>owner).abandoned is not None and not (<Process>owner).cancels:
            raise process.told_in_line()
        process.waits = READER
    give_reference(result, None)
    return PYGEN_NEXT


ctypedef int (*step_function)(object, PyObject**) noexcept


cdef PySendResult receive_send(PyObject* self, PyObject* argument, PyObject** result) noexcept:
    result[0] = NULL  # which it has to be after an error
    return <PySendResult>(<step_function>receive_step)(<object>self, result)


cdef PyObject* receive_next(PyObject* self) noexcept:
    cdef PyObject* result = NULL
    if (<step_function>receive_step)(<object>self, &result) == PYGEN_RETURN:
        return kamaelia_stop_with(result)
    return result


cdef class Pacing:
    """See `outbox._Pacing`."""

    cdef Outbox box
    cdef int state

    def __await__(self):
        return self if self.begins() else self.box.wait_for_room()

    cdef bint begins(self) except -1:
        self.state = FRESH
        return (self.box.ways is None or type(self.box.ways) is Route) and is_own(self.box.owner.scheduler)

    def __iter__(self):
        return self

    def __next__(self):
        if pacing_step(self) == PYGEN_RETURN:
            raise StopIteration


cdef int pacing_step(object awaitable) except -1:
    """Suspend the process until there is room: see `Outbox.wait_for_room`. What comes of it is always None."""
    cdef PyObject* box = <PyObject*>(<Pacing>awaitable).box
    cdef PyObject* owner = <PyObject*>(<Outbox>box).owner
    cdef PyObject* process = <PyObject*>(<Process>owner).scheduler.running
    cdef PyObject* route
    cdef PyObject* queue
    if (<Pacing>awaitable).state == AFTER_TURN or process == <PyObject*>None:
        return PYGEN_RETURN
    if (<Pacing>awaitable).state == IN_LINE:
        (<Process>process).leave_room()
        return PYGEN_RETURN
    if (<Process>process).stands != NOWHERE:
        (<Process>process).leave_line()
    if (<Outbox>box).ways is None:
        return PYGEN_RETURN
    route = <PyObject*>(<Outbox>box).ways
    queue = <PyObject*>(<Route>route).queue
    (<Route>route).past = 0
    if not ((<Route>route).waits and (<Queue>queue).full_for(<Route>route)):
        (<Pacing>awaitable).state = AFTER_TURN
        return PYGEN_NEXT
    (<Process>process).stands = SENDER
    (<Process>process).line_queue = <Queue>queue
    (<Process>process).line_route = <Route>route
    (<Process>process).line_box = <Outbox>box
    (<Queue>queue).line_up_for_room(<Process>process)
    (<Pacing>awaitable).state = IN_LINE
    if (<Process>owner).abandoned is not None and not (<Process>owner).cancels:
        raise (<Process>process).told_in_line()
    (<Process>process).waits = SENDER
    return PYGEN_NEXT


ctypedef int (*pacing_function)(object) noexcept


cdef PySendResult pacing_send(PyObject* self, PyObject* argument, PyObject** result) noexcept:
    cdef int outcome = (<pacing_function>pacing_step)(<object>self)
    result[0] = NULL
    if outcome != PYGEN_ERROR:
        give_reference(result, None)
    return <PySendResult>outcome


cdef PyObject* pacing_next(PyObject* self) noexcept:
    cdef PyObject* result = NULL
    if (<pacing_function>pacing_step)(<object>self) == PYGEN_NEXT:
        give_reference(&result, None)
    return result


# -- generators ---------------------------------------------------------------------------------------


cdef class Drive:
    """See `body.drive`: what a generator yields is awaited, and the result is what the yield returns."""

    cdef readonly object generator
    cdef readonly object awaited  # the iterator that it is waiting for
    cdef object value  # for the generator

    def __cinit__(self, generator):
        self.generator = generator

    def __await__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        cdef PyObject* result = NULL
        if drive_step(self, &result) == PYGEN_NEXT:
            return take_reference(result)
        raise StopIteration(take_reference(result))

    def throw(self, error):
        cdef PyObject* result = NULL
        cdef object awaited = self.awaited
        cdef object raised = error
        if awaited is not None and hasattr(awaited, "throw"):
            try:
                return awaited.throw(error)
            except StopIteration as end:
                self.value = end.value
                raised = None
            except BaseException as other:
                raised = other
        self.awaited = None
        if drive_on(self, raised, &result) == PYGEN_NEXT:
            return take_reference(result)
        raise StopIteration(take_reference(result))

    def close(self):
        if self.awaited is not None and hasattr(self.awaited, "close"):
            self.awaited.close()
        self.awaited = None
        self.generator.close()


cdef int drive_step(object drive, PyObject** result) except -1:
    return drive_on(<Drive>drive, None, result)


cdef int drive_on(Drive self, object error, PyObject** result) except -1:
    """Step what the generator waits for, and the generator, until one of them suspends."""
    cdef PyObject* out = NULL
    cdef int outcome
    cdef object awaitable
    while True:
        if self.awaited is not None:
            outcome = PyIter_Send(<PyObject*>self.awaited, <PyObject*>None, &out)
            if outcome == PYGEN_NEXT:
                result[0] = out
                return PYGEN_NEXT
            self.awaited = None
            if outcome == PYGEN_RETURN:
                self.value = take_reference(out)
            else:
                error = take_raised()
        if error is None:
            awaitable = self.value
            self.value = None
            outcome = PyIter_Send(<PyObject*>self.generator, <PyObject*>awaitable, &out)
            if outcome == PYGEN_ERROR:
                raise take_raised()
            if outcome == PYGEN_RETURN:
                result[0] = out
                return PYGEN_RETURN
            awaitable = take_reference(out)
        else:
            try:
                awaitable = self.generator.throw(error)
            except StopIteration as end:
                give_reference(result, end.value)
                return PYGEN_RETURN
            error = None
        if awaitable is READY:
            continue
        if type(awaitable) is Receive and receive_begins(<Receive>awaitable):
            outcome = (<step_function>receive_step)(awaitable, &out)
            if outcome == PYGEN_RETURN:
                self.value = take_reference(out)
            elif outcome == PYGEN_NEXT:
                self.awaited = awaitable
                result[0] = out
                return PYGEN_NEXT
            else:
                error = take_raised()
        elif awaitable is None:
            give_reference(result, None)
            return PYGEN_NEXT
        elif type(awaitable) is Pacing and (<Pacing>awaitable).begins():
            self.awaited = awaitable
        else:
            try:
                self.awaited = iterator_of(awaitable)
            except BaseException as raised:  # whatever it is, it belongs into the generator
                error = raised


cdef object iterator_of = _body.iterator_of


cdef object take_raised():
    """Return the exception that has been raised; it is not any more."""
    cdef PyObject* raised = kamaelia_take_raised()
    if raised == NULL:
        return SystemError("an error without an exception")
    return take_reference(raised)


cdef PySendResult drive_send(PyObject* self, PyObject* argument, PyObject** result) noexcept:
    result[0] = NULL  # which it has to be after an error
    return <PySendResult>(<step_function>drive_step)(<object>self, result)


cdef PyObject* drive_next(PyObject* self) noexcept:
    cdef PyObject* result = NULL
    if (<step_function>drive_step)(<object>self, &result) == PYGEN_RETURN:
        return kamaelia_stop_with(result)
    return result


# -- processes ----------------------------------------------------------------------------------------


cdef class Rarely:
    """An attribute of processes, boxes or links that most of them do without: until it is set to something
    else, it has its default and costs no memory."""

    cdef object name
    cdef object default

    def __cinit__(self, default=None):
        self.default = default

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, owner, cls):
        cdef dict rare
        if owner is None:
            return self
        rare = rare_of(owner)
        return self.default if rare is None else rare.get(self.name, self.default)

    def __set__(self, owner, value):
        cdef dict rare = rare_of(owner)
        if value is self.default:
            if rare is not None:
                rare.pop(self.name, None)
                if not rare:
                    keep_rare(owner, None)
        else:
            if rare is None:
                rare = {}
                keep_rare(owner, rare)
            rare[self.name] = value


cdef dict rare_of(object owner):
    if isinstance(owner, Process):
        return (<Process>owner).rare
    if isinstance(owner, Box):
        return (<Box>owner).rare
    return (<Link?>owner).rare


cdef int keep_rare(object owner, dict rare) except -1:
    if isinstance(owner, Process):
        (<Process>owner).rare = rare
    elif isinstance(owner, Box):
        (<Box>owner).rare = rare
    else:
        (<Link?>owner).rare = rare
    return 0


cdef class Process(Waiter):
    """See `process.PlainProcess`."""

    cdef readonly object component
    cdef public object given_name
    cdef public object parent
    cdef public object children
    cdef public object names_taken
    cdef public Scheduler scheduler
    cdef public object coroutine
    cdef public object context
    cdef public object pending
    cdef public object abandoned
    cdef object wait_elsewhere
    cdef dict rare  # what `Rarely` keeps
    cdef Box first_box
    # Where it stands in line, until it has resumed: the queue, and what it was given there.
    cdef Queue line_queue
    cdef Route line_route
    cdef Box line_box
    cdef Queue turn_queue
    cdef readonly long long steps
    cdef unsigned long script_number  # of the thread of a script that runs beside the loop
    cdef int turn_room
    cdef public int number
    cdef public int cancels
    cdef unsigned char state_number
    cdef unsigned char outcome_number
    cdef unsigned char reason_number
    cdef unsigned char stands  # in which kind of line
    cdef unsigned char waits  # for what it is suspended
    cdef Sleep asleep
    cdef public flag has_body
    cdef public flag is_chassis
    cdef public flag begun
    cdef public flag body_done
    cdef public flag must_cancel
    cdef public flag isolated
    cdef public flag failing
    cdef public flag vacant
    cdef object __weakref__

    def __cinit__(self, component, name, bint has_body):
        self.is_process = True
        self.component = component
        self.given_name = name
        self.has_body = has_body
        self.is_chassis = not has_body
        self.body_done = not has_body
        self.children = ()
        self.names_taken = no_names

    cdef int append_box(self, Box box) except -1:
        cdef Box last = self.first_box
        if last is None:
            self.first_box = box
            return 0
        while last.next_box is not None:
            last = last.next_box
        last.next_box = box
        return 0

    def add_box(self, Box box):
        self.append_box(box)

    @property
    def boxes(self):
        cdef dict boxes = {}
        cdef Box box = self.first_box
        while box is not None:
            boxes[box.name] = box
            box = box.next_box
        return boxes

    def each_box(self):
        cdef list boxes = []
        cdef Box box = self.first_box
        while box is not None:
            boxes.append(box)
            box = box.next_box
        return boxes

    cdef Box find_box(self, name):
        cdef Box box = self.first_box
        while box is not None:
            if box.name is name or box.name == name:
                return box
            box = box.next_box
        return None

    def box_named(self, name):
        return self.find_box(name)

    def furnish(self, dict declarations):
        cdef Box box
        for name, declaration in declarations.items():
            box = <Box?>declaration.attached(self, name)
            PyObject_GenericSetAttr(self.component, name, box)
            self.append_box(box)

    def has_its_boxes(self):
        for name in self.component._box_declarations:
            if getattr(self.component, name) is not self.find_box(name):
                return False
        return True

    def adopt_simply(self, child):
        """Make another its child as `lifecycle.add_child` would, which does more for all others: this is one of
        many of a name, and all so far have had that name."""
        cdef Process other
        cdef object children = self.children
        cdef object taken = self.names_taken
        cdef object number
        if type(child) is not type(self) or self.begun or self.state_number == ENDED:
            return False
        other = <Process>child
        if (
            type(children) is not dict or type(taken) is not dict or len(<dict>taken) != 1
            or other.parent is not None or other.state_number != NEW or not other.has_its_boxes()
        ):
            return False
        number = (<dict>taken).get(other.given_name)
        if number is None:
            return False
        other.number = number + 1
        (<dict>taken)[other.given_name] = other.number
        other.parent = self
        other.isolated = False
        (<dict>children)[other] = None
        return True

    def enter(self, system):
        cdef Box box = self.first_box
        cdef Scheduler scheduler = system.scheduler
        cdef object context
        if system.debug:
            _process.Process.enter(self, system)
            return
        self.scheduler = scheduler
        self.state_number = READY_TO_STEP
        while box is not None:
            if isinstance(box, Inbox):
                (<Inbox>box).messages.thread_number = scheduler.thread_number
            box = box.next_box
        if self.parent is not None:  # the outermost, which is none of the user's, runs nothing
            context = self.parent.context
            context = PyContext_CopyCurrent() if context is None else PyContext_Copy(context)
            PyContext_Enter(<PyObject*>context)
            PyContextVar_Set(current_process, self)
            PyContext_Exit(<PyObject*>context)
            self.context = context
        scheduler.live += self.has_body
        scheduler.ready(self)
        if scheduler.observer is not None:
            scheduler.observer("started", self)

    def begin(self):
        """Take the first step: here the usual one, of a coroutine that has no children."""
        cdef object main = self.component.main
        cdef object failed = None
        if type(main) is not MethodType or type(main.__func__) is not FunctionType:
            kind = 0
        else:
            kind = main.__func__.__code__.co_flags & (CO_COROUTINE | CO_ASYNC_GENERATOR)
        if kind != CO_COROUTINE or self.children:
            _process.lifecycle.begin(self)
            return
        self.begun = True
        self.settle_boxes()
        if self.must_cancel:
            self.must_cancel = False
            _process.lifecycle.finish_body(self, Cancelled(), None)
            return
        context = self.context
        PyContext_Enter(<PyObject*>context)
        try:
            self.coroutine = main()
        except Exception as error:  # it could not be called
            failed = error
        finally:
            PyContext_Exit(<PyObject*>context)
        if failed is not None:
            _process.lifecycle.finish_body(self, failed, None)

    def settle_boxes(self):
        cdef Box box = self.first_box
        while box is not None:
            if box.outside:
                self.scheduler.outside += box.outside
            # What is to be looked at closer: loops, and whatever may have no source.
            if (
                (box.links_in is None or (type(box.links_in) is type_of_links and not (<Link>box.links_in).feedback))
                and (box.sources or box.holds or (type(box) is not type_of_inboxes and (box.own or box.links_in is None)))
            ):
                box.settled = True
            else:
                box.settle()
            box = box.next_box

    @property
    def inboxes(self):
        cdef list boxes = []
        cdef Box box = self.first_box
        while box is not None:
            if isinstance(box, Inbox):
                boxes.append(box)
            box = box.next_box
        return boxes

    @property
    def outboxes(self):
        cdef list boxes = []
        cdef Box box = self.first_box
        while box is not None:
            if isinstance(box, Outbox):
                boxes.append(box)
            box = box.next_box
        return boxes

    @property
    def state(self):
        return STATES[self.state_number]

    @state.setter
    def state(self, name):
        self.state_number = STATE_NUMBERS[name]

    @property
    def outcome(self):
        return OUTCOMES[self.outcome_number]

    @outcome.setter
    def outcome(self, name):
        self.outcome_number = OUTCOMES.index(name)

    @property
    def reason(self):
        return REASONS[self.reason_number]

    @reason.setter
    def reason(self, name):
        self.reason_number = REASONS.index(name)

    @property
    def wait(self):
        if self.waits == NOWHERE:
            return None
        if self.waits == ELSEWHERE:
            return self.wait_elsewhere
        if self.waits == ASLEEP:
            shown = python_wait(self.scheduler, self, "sleep", ())
            shown.timed = True
        elif self.waits == READER:
            shown = python_wait(self.scheduler, self.line_box.owner, "receive from", (self.line_box,))
        else:
            shown = python_wait(self.scheduler, self.line_box.owner, "send to", (self.line_route,))
        shown.process = self
        return shown

    @wait.setter
    def wait(self, wait):
        self.leave_line()
        self.wait_elsewhere = wait
        self.waits = NOWHERE if wait is None else ELSEWHERE

    cdef int leave_line(self) except -1:
        """Give up the place in line, and pass on what was given to it there."""
        cdef Queue queue = self.line_queue
        cdef Py_ssize_t turn
        cdef int stood = self.stands
        if self.asleep is not None:
            self.asleep.give_up()
        if stood == NOWHERE:
            return 0
        self.stands = NOWHERE
        self.line_queue = None
        if self.waits != ELSEWHERE:
            self.waits = NOWHERE
        if stood == READER:
            queue.leave_readers(self)
        else:
            turn = self.turn_room
            self.turn_room = 0
            queue.leave_room(self, turn, self.line_route, False)
            self.line_route = None
        return 0

    cdef int leave_room(self) except -1:
        """It has waited for room, and goes on: what it was given is its own."""
        cdef Queue queue = self.line_queue
        cdef Route route
        cdef Py_ssize_t turn = self.turn_room
        if queue is None:
            return 0
        route = self.line_route
        self.stands = NOWHERE
        self.line_queue = None
        self.line_route = None
        self.turn_room = 0
        queue.leave_room(self, turn, route, True)
        return 0

    cdef object told_in_line(self):
        """Leave the line at once, and return why: nobody listens to who owns the box."""
        cdef Process owner = self.line_box.owner
        cdef object error = owner.abandoned
        owner.abandoned = None
        self.leave_line()
        return error

    @property
    def script_thread(self):
        return self.script_number or None

    @script_thread.setter
    def script_thread(self, number):
        self.script_number = number or 0

    cdef bint may_go_ahead(self) noexcept:
        """Say whether this is the thread of a script that nobody has told anything."""
        return (
            self.script_number != 0 and self.script_number == PyThread_get_thread_ident()
            and not self.cancels and self.abandoned is None and not self.body_done
        )

    # -- running ----------------------------------------------------------------------------------

    def step(self):
        self.take_step()

    cdef int take_step(self) except -1:
        global stepping
        cdef PyObject* out = NULL
        cdef PySendResult outcome
        cdef object context
        cdef object coroutine
        cdef object error
        if self.coroutine is None:
            if self.begun:  # and over: it was abandoned while it was ready
                return 0
            self.begin()
            if self.coroutine is None:
                return 0
        if self.must_cancel:
            self.must_cancel = False
            self.pending = self._cancelled()
        if self.pending is not None:
            return self.step_with_error()
        context = self.context
        coroutine = self.coroutine
        PyContext_Enter(<PyObject*>context)
        stepping = <PyObject*>self
        outcome = PyIter_Send(<PyObject*>coroutine, <PyObject*>None, &out)
        stepping = NULL
        kamaelia_forget_stop()
        if outcome == PYGEN_NEXT:
            PyContext_Exit(<PyObject*>context)
            if out == <PyObject*>None and (self.waits == READER or self.waits == SENDER):
                Py_DECREF(<object>out)
                self.state_number = WAITING
                self.scheduler.parked += 1
                if (
                    self.must_cancel or self.abandoned is not None or self.turn_queue is not None
                    or self.line == NULL
                ):
                    self.check_wait()
            elif out == <PyObject*>None and self.waits == ASLEEP and self.asleep.step == self.scheduler.steps:
                Py_DECREF(<object>out)
                self.state_number = WAITING
                if self.must_cancel or self.abandoned is not None:
                    self.check_wait()
            else:
                self.suspend(take_reference(out))
        elif outcome == PYGEN_RETURN:
            PyContext_Exit(<PyObject*>context)
            self.finish(None, take_reference(out))
        else:
            error = take_raised()
            PyContext_Exit(<PyObject*>context)
            self.finish(error, None)
        return 0

    cdef int step_with_error(self) except -1:
        cdef object error = self.pending
        cdef object context = self.context
        cdef object yielded = None
        cdef object raised = None
        cdef bint over = False
        self.pending = None
        PyContext_Enter(<PyObject*>context)
        try:
            self.leave_line()
            yielded = self.coroutine.throw(error)
        except StopIteration as end:
            over = True
            yielded = end.value
        except BaseException as other:
            over = True
            raised = other
        kamaelia_forget_stop()
        PyContext_Exit(<PyObject*>context)
        error = None
        if not over:
            self.suspend(yielded)
        elif raised is None:
            self.finish(None, yielded)
        else:
            self.finish(raised, None)
        return 0

    cdef int suspend(self, object yielded) except -1:
        if yielded is None:
            if self.waits == ASLEEP and self.asleep.step != self.scheduler.steps:
                self.asleep.give_up()  # that was some time ago: whoever drove the coroutine by hand has closed it
            if self.waits == NOWHERE:
                self.scheduler.append_ready(self)  # it only gives others a turn
                return 0
            self.state_number = WAITING
            if not self.has_time_limit():
                self.scheduler.parked += 1
            self.check_wait()
        elif getattr(yielded, "_asyncio_future_blocking", None):
            self.wait = None
            yielded._asyncio_future_blocking = False
            self.state_number = FOREIGN
            self.future = yielded
            yielded.add_done_callback(self._future_done, context=self.context)
            if self.must_cancel and yielded.cancel(msg=self.cancel_message):
                self.must_cancel = False
        else:
            self.pending = RuntimeError(
                f"{self.path} awaited {yielded!r}, which is no awaitable of asyncio's"
            )
            self.scheduler.append_ready(self)
        return 0

    cdef int check_wait(self) except -1:
        if self.must_cancel:
            self.must_cancel = False
            self.throw(self._cancelled())
        elif self.abandoned is not None and not self.cancels:
            error = self.abandoned
            self.abandoned = None
            self.throw(error)
        elif self.waits != ASLEEP and (self.turn_queue is not None or self.line == NULL):
            # It has been taken out of the line already: by a script, while what was left of the step freed
            # something that let other threads run.
            self.go_on()
        return 0

    cdef bint has_time_limit(self) except -1:
        """Say whether it will go on by itself, at some time."""
        return self.waits == ASLEEP or (self.waits == ELSEWHERE and self.wait_elsewhere.timed)

    cdef int wake_up(self) except -1:
        """It has slept long enough."""
        self.asleep = None
        if self.waits == ASLEEP:
            self.waits = NOWHERE
            self.state_number = READY_TO_STEP
            self.scheduler.ready(self)
        return 0

    cdef int go_on(self) except -1:
        """Whoever put it into a line has given it what it waits for, or can't."""
        if self.state_number == WAITING and (self.waits == READER or self.waits == SENDER):
            self.waits = NOWHERE
            self.scheduler.parked -= 1
            self.state_number = READY_TO_STEP
            self.scheduler.ready(self)
        return 0

    def resume(self, wait, error=None):
        if self.waits != ELSEWHERE or self.wait_elsewhere is not wait:
            return
        self.throw(error)

    def throw(self, error):
        if self.state_number == WAITING and not self.has_time_limit():
            self.scheduler.parked -= 1
        if self.asleep is not None:
            self.asleep.give_up()
        self.waits = NOWHERE
        self.wait_elsewhere = None
        self.pending = error
        self.state_number = READY_TO_STEP
        self.scheduler.ready(self)

    def _future_done(self, future):
        if self.future is not future:
            return
        self.future = None
        try:
            future.result()
        except BaseException as error:  # it is thrown into the body, whatever it is
            self.pending = error
        self.state_number = READY_TO_STEP
        self.scheduler.ready(self)


# -- schedulers ---------------------------------------------------------------------------------------


cdef class Scheduler(Due):
    """See `scheduler.PlainScheduler`. It stands in the queue of its clock itself, for its next slice."""

    cdef public object _context
    cdef public Process running
    cdef public object loops
    cdef public object on_step
    cdef public object observer
    cdef public long long steps
    cdef public Py_ssize_t live
    cdef public Py_ssize_t parked
    cdef unsigned long thread_number
    cdef PyObject* first_ready
    cdef PyObject* last_ready
    cdef list turns_given  # None for none
    cdef flag scheduled
    cdef flag puts_off  # calling the loop: a script acts
    cdef flag is_behind  # the loop is to be called
    cdef Py_hash_t loop_hash
    cdef object slice
    cdef VirtualClock clock  # the loop's, if it is one of ours
    cdef object __weakref__

    def __cinit__(self, loop):
        self.loop_hash = hash(loop)
        if isinstance(loop, LoopCalls) and not loop.get_debug():
            self.clock = (<LoopCalls>loop).fast

    def __dealloc__(self):
        scheduler_forget_ready(self)

    cdef int happen(self) except -1:
        cdef PyObject* context = <PyObject*>self._context
        PyContext_Enter(context)
        try:
            self.take_slice()
        finally:
            PyContext_Exit(context)
        return 0

    @property
    def loop(self):
        return self._loop

    @loop.setter
    def loop(self, loop):
        self._loop = loop

    @property
    def thread(self):
        return self.thread_number

    @thread.setter
    def thread(self, number):
        self.thread_number = number

    @property
    def busy(self):
        return self.first_ready != NULL

    def is_running_component(self):
        return is_own(self)

    cdef void append_ready(self, Waiter waiter) noexcept:
        if waiter.is_ready:
            return
        Py_INCREF(waiter)
        waiter.is_ready = True
        waiter.next_ready = NULL
        if self.last_ready == NULL:
            self.first_ready = <PyObject*>waiter
        else:
            (<Waiter>self.last_ready).next_ready = <PyObject*>waiter
        self.last_ready = <PyObject*>waiter

    cdef Waiter pop_ready(self):
        cdef Waiter waiter = <Waiter>self.first_ready
        self.first_ready = waiter.next_ready
        if self.first_ready == NULL:
            self.last_ready = NULL
        waiter.next_ready = NULL
        waiter.is_ready = False
        Py_DECREF(waiter)
        return waiter

    cdef int ready(self, Waiter waiter) except -1:
        self.append_ready(waiter)
        if not self.scheduled:
            self.scheduled = True
            if self.puts_off:
                self.is_behind = True
            else:
                self.schedule()
        return 0

    cdef int schedule(self) except -1:
        if self.clock is not None and PyThread_get_thread_ident() == self.thread_number:
            self.clock.ready(self)
            return 0
        if self.slice is None:
            self.slice = self._slice
        self.call_soon(self.slice)
        return 0

    cdef int catch_up(self) except -1:
        """Do what was put off while a script acted from its own thread."""
        if self.is_behind:
            self.is_behind = False
            self.schedule()
        return 0

    def make_ready(self, Process process):
        self.ready(process)

    cdef int run_ready(self) except -1:
        cdef Waiter waiter
        cdef Process process
        cdef int left = SLICE
        while left and self.first_ready != NULL:
            left -= 1
            waiter = self.pop_ready()
            if waiter.is_outlet:
                self.running = None
                _make_current(self._loop, None)
                (<Outlet>waiter).take_turn()
                continue
            process = <Process>waiter
            self.steps += 1
            process.steps += 1
            self.running = process
            if current_tasks is not None:
                kamaelia_set_current(
                    <PyObject*>current_tasks, <PyObject*>self._loop, <PyObject*>process.component, self.loop_hash
                )
            else:
                _make_current(self._loop, process.component)
            process.take_step()
            if self.on_step is not None:
                self.on_step(process)
            if self.turns_given is not None:
                self._take_turns_back()
        return 0

    def _slice(self):
        self.take_slice()

    cdef int take_slice(self) except -1:
        try:
            self.run_ready()
        except BaseException as error:
            self.system.abort(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self.have_no_current()
            self.running = None
            if self.loops:
                self.system.check_loops()
            if self.first_ready != NULL:
                self.stay_busy()
                self.schedule()
            else:
                self.scheduled = False
                if self.parked == self.live:
                    self.look_for_rest()
        return 0

    cdef int have_no_current(self) except -1:
        """Nobody is the loop's current task any more."""
        if current_tasks is None:
            _make_current(self._loop, None)
        elif kamaelia_current(<PyObject*>current_tasks, <PyObject*>self._loop, self.loop_hash) != NULL:
            PyDict_DelItem(current_tasks, self._loop)
        return 0

    cdef int give_until_end_of_step(self, Route route) except -1:
        if self.turns_given is None:
            self.turns_given = []
        self.turns_given.append(route)
        if self.running is None:
            self.call_soon(self._take_turns_back)
        return 0

    def at_end_of_step(self, Route route):
        self.give_until_end_of_step(route)

    def _take_turns_back(self):
        cdef list routes = self.turns_given
        cdef Route route
        self.turns_given = None
        for route in routes or ():
            route.queue.take_back(route)


cdef void scheduler_forget_ready(Scheduler scheduler) noexcept:
    while scheduler.first_ready != NULL:
        scheduler.pop_ready()


cdef traverseproc scheduler_traverse_fields
cdef inquiry scheduler_clear_fields


cdef int scheduler_traverse(PyObject* self, visitproc visit, void* arg) noexcept:
    cdef PyObject* at = (<Scheduler>self).first_ready
    cdef int stop
    while at != NULL:
        stop = visit(at, arg)
        if stop:
            return stop
        at = (<Waiter>at).next_ready
    return scheduler_traverse_fields(self, visit, arg)


cdef int scheduler_clear(PyObject* self) noexcept:
    scheduler_forget_ready(<Scheduler>self)
    return scheduler_clear_fields(self)


# -- inlets and outlets -------------------------------------------------------------------------------


check_bytes = None


cdef class Inlet:
    """See `outlet.PlainInlet`."""

    cdef public Outbox box
    cdef readonly object listener
    cdef object clock
    cdef public double active
    cdef readonly long long amount

    def __cinit__(self, listener, clock):
        self.listener = listener
        self.clock = clock
        self.active = clock()

    def data_received(self, data):
        cdef Outbox box = self.box
        self.amount += len(data)
        self.active = self.clock()
        if box is None or box.lost:
            self.listener.not_taken(data)
        elif type(box.send_slowly(data)) is Pacing and box.full:
            self.listener.sink_full()


cdef class Outlet(Waiter):
    """See `outlet.PlainOutlet`."""

    cdef readonly Inbox inbox
    cdef readonly object transport
    cdef readonly object listener
    cdef object clock
    cdef public double active
    cdef readonly long long amount
    cdef flag paused
    cdef flag over

    def __cinit__(self, Inbox inbox, transport, listener, clock):
        self.is_outlet = True
        self.inbox = inbox
        self.transport = transport
        self.listener = listener
        self.clock = clock
        self.active = clock()
        inbox.messages.line_up_reader(self)

    cdef int make_ready(self) except -1:
        self.inbox.owner.scheduler.ready(self)
        return 0

    cdef int take_turn(self) except -1:
        cdef Inbox box = self.inbox
        cdef Queue queue = box.messages
        cdef object message
        if self.over:
            return 0
        if queue.count:
            self.active = self.clock()
        while queue.count and not self.paused:
            if self.transport.is_closing():
                return 0
            message = None
            try:
                message = queue.remove()
                if type(message) is not bytes:
                    check_bytes(message)
                self.transport.write(message)
            except Exception as error:
                self.over = True
                self.listener.outlet_failed(message, error)
                return 0
            if type(message) is bytes:
                self.amount += len(<bytes>message)
            else:
                self.amount += memoryview(message).nbytes
        if self.paused:
            return 0
        if box.ended:
            self.over = True
            self.listener.outlet_ended(box.failure)
        else:
            queue.line_up_reader(self)
        return 0

    cdef int leave_line(self) except -1:
        if self.line != NULL:
            line_remove(self.line, self)
        return 0

    def pause(self):
        if not self.paused:
            self.paused = True
            self.inbox.owner.scheduler.outside += 1

    def resume(self):
        if self.paused:
            self.paused = False
            self.inbox.owner.scheduler.outside -= 1
            self.leave_line()
            self.make_ready()

    def close(self):
        if self.paused:
            self.paused = False
            self.inbox.owner.scheduler.outside -= 1
        self.over = True
        self.inbox.close()


cdef object type_of_inboxes = None
cdef object type_of_links = None


def introduce(inboxes, links, check):
    """What only those modules have that need this one."""
    global type_of_inboxes, type_of_links, check_bytes
    type_of_inboxes = inboxes
    type_of_links = links
    check_bytes = check


# -- what Cython has no word for ----------------------------------------------------------------------

kamaelia_set_send(<PyTypeObject*>Ready, ready_send, ready_next)
kamaelia_set_send(<PyTypeObject*>TurnTaken, turn_send, turn_next)
kamaelia_set_send(<PyTypeObject*>Receive, receive_send, receive_next)
kamaelia_set_send(<PyTypeObject*>Pacing, pacing_send, pacing_next)
kamaelia_set_send(<PyTypeObject*>Drive, drive_send, drive_next)
kamaelia_set_send(<PyTypeObject*>Sleep, sleep_send, sleep_next)

clock_traverse_fields = (<TypeWithSlots*>VirtualClock).tp_traverse
clock_clear_fields = (<TypeWithSlots*>VirtualClock).tp_clear
(<TypeWithSlots*>VirtualClock).tp_traverse = clock_traverse
(<TypeWithSlots*>VirtualClock).tp_clear = clock_clear

queue_traverse_fields = (<TypeWithSlots*>Queue).tp_traverse
queue_clear_fields = (<TypeWithSlots*>Queue).tp_clear
(<TypeWithSlots*>Queue).tp_traverse = queue_traverse
(<TypeWithSlots*>Queue).tp_clear = queue_clear

scheduler_traverse_fields = (<TypeWithSlots*>Scheduler).tp_traverse
scheduler_clear_fields = (<TypeWithSlots*>Scheduler).tp_clear
(<TypeWithSlots*>Scheduler).tp_traverse = scheduler_traverse
(<TypeWithSlots*>Scheduler).tp_clear = scheduler_clear
