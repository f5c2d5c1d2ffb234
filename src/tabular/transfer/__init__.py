"""Copies of objects and tables between any two places: verified, resumable, in bounded memory.

A backup is one use of it; moving to another cloud, a second region and a bundle for a network
without internet are others. So the pieces know stores and databases, and nothing of deployments.

copying     objects from one store to another      tables      rows as text, and back
journal     what a killed copy had done            sealing     encryption of what is stored
references  the objects that rows refer to         hold        keeps them from being removed
place       a folder of backups                    manifest    what a backup consists of
backup      makes one                              restore     puts one into service
verify      reads one from end to end              prune       forgets old ones
"""

from __future__ import annotations
