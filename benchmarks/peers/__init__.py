"""The contestants: each a short program of its own that does the work once and prints one line of JSON.

A file is called after the work and the library. All take their work as whole numbers on the command line, and
all are written as somebody who knows that library well would write them. What is measured is taken inside,
without the interpreter's start; what is printed says which library did it, in which version.
"""
