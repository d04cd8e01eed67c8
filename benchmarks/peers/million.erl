%% Erlang: a row of processes that all wait, and a message that goes through all of them.
%% Memory is what the operating system says, as for the others.
-module(million).
-export([main/1]).

main([Word]) ->
    Number = list_to_integer(Word),
    erlang:garbage_collect(),
    Memory = resident(),
    Before = erlang:monotonic_time(),
    Me = self(),
    First = row(Number, Me),
    once_through(First),
    Made = seconds(erlang:monotonic_time() - Before),
    erlang:garbage_collect(),
    Bytes = (resident() - Memory) / Number,
    [_, Passing, _] = lists:sort([once_through(First) || _ <- [1, 2, 3]]),
    io:format("{\"about\": \"Erlang/OTP ~s\", \"number\": ~b, \"memory\": ~f, \"making\": ~.12f, \"passing\": ~.12f}~n",
              [erlang:system_info(otp_release), Number, Bytes, (Made - Passing) / Number, Passing / Number]),
    halt(0).

row(0, Next) -> Next;
row(N, Next) -> row(N - 1, spawn(fun() -> pass(Next) end)).

pass(Next) ->
    receive Message -> Next ! Message end,
    pass(Next).

once_through(First) ->
    Before = erlang:monotonic_time(),
    First ! 1,
    receive 1 -> ok end,
    seconds(erlang:monotonic_time() - Before).

seconds(Native) -> erlang:convert_time_unit(Native, native, nanosecond) / 1.0e9.

resident() ->
    {ok, Text} = file:read_file("/proc/self/statm"),
    [_, Pages | _] = string:lexemes(binary_to_list(Text), " "),
    list_to_integer(Pages) * 4096.
