import collections, json, subprocess, sys
def run_module(module, form, left_out, python=sys.executable):
    done={}; loops={}
    left=set(left_out)
    while True:
        p=subprocess.run([python,"-m","tools.conformance.child",module,form],input="\n".join(left|set(done)),capture_output=True,text=True,timeout=400)
        cur=None
        for line in p.stdout.splitlines():
            d=json.loads(line)
            if "outcome" in d: done[d["test"]]=d; cur=None
            elif "test" in d: cur=d["test"]
            else: loops=d["loops"]
        if cur is None:
            if p.returncode: print("rc",p.returncode,p.stderr[-1500:])
            return done, loops
        done[cur]=dict(test=cur,outcome="died",why=p.stderr[-3000:],seconds=0)
if __name__=="__main__":
    form=sys.argv[1]; out={}
    for m in sys.argv[2:]:
        done,loops=run_module(m,form,[])
        c=collections.Counter(v["outcome"] for v in done.values())
        print(m,len(done),dict(c),loops,f"{sum(v['seconds'] for v in done.values()):.1f}s",flush=True)
        out[m]={k:(v["outcome"],v["why"],v["seconds"]) for k,v in done.items()}
    json.dump(out,open(f"/tmp/x/conf/out-{form}.json","w"),indent=1)
