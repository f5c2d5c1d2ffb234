"""Takes accepted jobs and runs them, whatever dies on the way.

jobs       the life of a job in the database: submit, claim, beat, finish, fail, cancel
claims     what a worker holds of a job that it claimed
waiting    which jobs wait, and since when
leases     which running jobs have lost their worker
runner     the loop of a worker process
process    the child process that does the work; child is its other end
handlers   the work itself: fit, generate, evaluate, inspect
objects    which keys the objects of a dataset, model, job or evaluation have
retention  how long results are kept
scratch    where files of a task go, and whose fault it is when there is no room
outages    what does not answer at the moment
garbage    removal of objects that nothing refers to
"""
