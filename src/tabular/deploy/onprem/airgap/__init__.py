"""A deployment's installation, carried to where there is no internet.

reference    what images are called            credentials  who signs in to a registry
registry     one repository of one registry    sources      where an image of a bundle comes from
images       which images the chart names      chart, wheels, sbom, signing   what else goes along
contents     what a bundle says of itself      archive, opened   a bundle as folder or tar
create       makes one                         verify, load, difference   what is done with one
"""
