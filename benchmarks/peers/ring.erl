%% Erlang: a ring of processes, each of which passes on what it gets. An Erlang mailbox has no limit, so the
%% first process keeps no more than SIZE messages on their way, and each goes round the ring once: STAGES + 1 hops.
-module(ring).
-export([main/1]).

main(Words) ->
    [Stages, Size, Messages] = [list_to_integer(Word) || Word <- Words],
    erlang:garbage_collect(),
    Before = erlang:monotonic_time(),
    First = lists:foldl(fun(_, Next) -> spawn(fun() -> pass(Next) end) end, self(), lists:seq(1, Stages)),
    InFlight = min(Size, Messages),
    [First ! N || N <- lists:seq(1, InFlight)],
    Arrived = lap(First, InFlight, Messages - InFlight, 0),
    Seconds = erlang:convert_time_unit(erlang:monotonic_time() - Before, native, nanosecond) / 1.0e9,
    Hops = Stages + 1,
    Messages = Arrived,
    io:format("{\"about\": \"Erlang/OTP ~s\", \"messages\": ~b, \"hops\": ~b, \"seconds\": ~f, \"rate\": ~f}~n",
              [erlang:system_info(otp_release), Arrived, Hops, Seconds, Arrived * Hops / Seconds]),
    halt(0).

pass(Next) ->
    receive Message -> Next ! Message end,
    pass(Next).

%% InFlight messages are on their way, ToSend have not been sent yet.
lap(_, 0, 0, Arrived) -> Arrived;
lap(First, InFlight, 0, Arrived) ->
    receive _ -> lap(First, InFlight - 1, 0, Arrived + 1) end;
lap(First, InFlight, ToSend, Arrived) ->
    receive Message -> First ! Message end,
    lap(First, InFlight, ToSend - 1, Arrived + 1).
