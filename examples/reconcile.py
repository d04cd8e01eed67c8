"""Which invoices have been paid? Two CSV files are put together by number, and become JSON lines.

    invoices.csv > rows --+
                          +-- Collate --> paid or not > JSON > paid.jsonl
    bank.csv     > rows --+      |
                                 +-----> those without a partner > odd.txt

Type ``python examples/reconcile.py``. You see what was paid, then the invoices nobody has paid and the
payments nobody expected. The next day there is an incomplete row in the bank's file: the run fails and says
what is wrong. The files of the day before are still there, whole: a writer whose source has failed puts
nothing in their place.
"""

import tempfile
from operator import itemgetter
from pathlib import Path

from kamaelia import Graphline, run
from kamaelia.axon import ComponentsFailed
from kamaelia.file import FileReader, FileWriter
from kamaelia.flow import CSV, JSON, Collate, Deserialise, Encode, Map, Serialise

INVOICES = "number,customer,amount\n101,Ada,40.00\n102,Bert,12.50\n103,Cleo,99.00\n104,Dora,7.20\n"
BANK = "date,number,amount\n2 May,103,99.00\n3 May,101,30.00\n3 May,999,5.00\n7 May,104,7.20\n"


def settle(pair):
    invoice, payment = pair
    owed = float(invoice["amount"]) - float(payment["amount"])
    return {"number": int(invoice["number"]), "customer": invoice["customer"], "owes": owed}


def complain(pair):
    invoice, payment = pair
    if payment is None:
        return "not paid: {number}, {amount} from {customer}".format(**invoice)
    return "not expected: {number}, {amount} on {date}".format(**payment)


def reconcile(folder):
    def rows(name):
        return FileReader(folder / name) | Deserialise(CSV(header=True))

    invoices, payments = rows("invoices.csv"), rows("bank.csv")
    both = Collate("invoice", "payment", key=itemgetter("number"))
    paid = Map(settle) | Serialise(JSON()) | FileWriter(folder / "paid.jsonl")
    odd = Map(complain) | Encode(end="\n") | FileWriter(folder / "odd.txt")
    return Graphline(
        invoices.outbox >> both.invoice,
        payments.outbox >> both.payment,
        both.outbox >> paid.inbox,
        both.unmatched >> odd.inbox,
    )


def show(folder):
    for name in "paid.jsonl", "odd.txt":
        lines = (folder / name).read_text().splitlines()
        print(f"{name}:", *sorted(lines), "", sep="\n")  # two files are read at once: their order is chance


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "invoices.csv").write_text(INVOICES)
        (folder / "bank.csv").write_text(BANK)
        run(reconcile(folder))
        show(folder)

        (folder / "bank.csv").write_text(BANK + "9 May,102\n")
        try:
            run(reconcile(folder))
        except ComponentsFailed as failed:
            print("The next day:", failed.exceptions[0], end="\n\n")
        show(folder)
