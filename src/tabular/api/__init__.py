"""The API that a deployment runs: parse, ask the layers below, answer. No science, no SQL tricks.

app, service     put together            gate        request ids, sign-in, limits, errors
problems         errors as documents     routes/     one module for each resource
serve            sockets and signals     pages       what a browser sees
"""
